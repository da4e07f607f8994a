//! What was acknowledged is there after a restart.

use harness::{Logs, Server, content};

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same};

#[test]
fn everything_is_there_after_a_restart() {
    for folders in [1, 6] {
        let mut server = Server::start_with(folders, |_| {});
        let (bucket, versioned) = (server.bucket(), server.bucket());
        versioned.set_versioning("Enabled");
        let contents: Vec<Vec<u8>> = [0, 500, 5000, 100_000, 3_000_000].map(|size| content(size, 1)).into();
        for data in &contents {
            bucket
                .put(&data.len().to_string(), data)
                .header("x-amz-meta-name", "value")
                .unsigned_payload()
                .ok();
        }
        let versions = [
            versioned.put_version("key", "1"),
            versioned.put_version("key", "2"),
            versioned.put_marker("key"),
        ];
        let upload = bucket.upload("uploaded");
        let first = upload.part(1, content(PART_SIZE_MIN, 2)).unsigned_payload().ok().etag().to_owned();

        for _ in 0..2 {
            server.restart();
            let (bucket, versioned) = (bucket.through(server.client()), versioned.through(server.client()));
            for data in &contents {
                let read = bucket.get(&data.len().to_string()).ok();
                assert_same(&read.body, data);
                assert_eq!(read.get("x-amz-meta-name"), "value");
            }
            assert_eq!(bucket.keys().len(), contents.len());
            assert_absent(&versioned, "key");
            let listed = versioned.list_versions().ok().xml();
            assert_eq!(listed.all("DeleteMarker/VersionId"), [versions[2].as_str()]);
            assert_eq!(listed.all("Version/VersionId"), [versions[1].as_str(), &versions[0]]);
        }

        let bucket = bucket.through(server.client());
        let upload = harness::Upload { bucket: bucket.clone(), ..upload };
        let second = upload.put(2, "the end");
        upload.complete(&[(1, &first), (2, &second)]).ok();
        assert_same(
            &bucket.get("uploaded").ok().body,
            &[content(PART_SIZE_MIN, 2), b"the end".to_vec()].concat(),
        );
        bucket.put("0", "overwritten").ok();
        assert_content(&bucket, "0", b"overwritten");
    }
}

/// The setting says how a server begins; an operator may have changed the coding since.
#[test]
fn a_server_starts_with_the_setting_of_a_coding_that_was_changed() {
    let mut server = Server::start_with(4, |config| config.coding = Some("1+1".parse().expect("a coding")));
    let bucket = server.bucket();
    let data = content(100_000, 1);
    bucket.put("key", &data).unsigned_payload().ok();
    assert!(server.admin(&["class", "recode", "STANDARD", "--coding", "2+1"]));
    server.restart();
    assert_content(&bucket.through(server.client()), "key", &data);
    assert_eq!(Logs::start().take("objects keep their coding").len(), 1);
    server.restart_with(|config| config.coding = None);
    assert_content(&bucket.through(server.client()), "key", &data);
}
