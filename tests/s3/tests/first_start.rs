//! What a server knows that was told no secret.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use harness::Server;
use http::Method;

/// Nobody gets in by what somebody else's server, or another product's, was told or has by default.
#[test]
fn there_are_no_default_credentials() {
    let mut secrets = BTreeSet::new();
    for _ in 0..2 {
        let server = Server::start_with(1, |config| config.root = None);
        let file = server.folder().join("0/credentials.json");
        let mode = fs::metadata(&file).expect("the file of the root user").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let stored: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).expect("it can be read")).expect("JSON");
        let text = |name: &str| stored[name].as_str().expect("a text").to_owned();
        let (user, secret) = (text("access_key_id"), text("secret_access_key"));
        assert!(user.len() == 20 && secret.len() == 40, "they cannot be guessed");
        let list = |user: &str, secret: &str| {
            server.client().with_credentials(user, secret).request(Method::GET, "/")
        };
        for (user, secret) in [("minioadmin", "minioadmin"), ("admin", "admin"), ("root", "password")] {
            list(user, secret).refused(403, "InvalidAccessKeyId");
        }
        server.client().request(Method::GET, "/").refused(403, "InvalidAccessKeyId");
        list(&user, "").refused(403, "SignatureDoesNotMatch");
        list(&user, &user).refused(403, "SignatureDoesNotMatch");
        list(&user, &secret).ok();
        secrets.extend([user, secret]);
    }
    assert_eq!(secrets.len(), 4, "each server made its own");
}
