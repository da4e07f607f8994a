//! What a person who starts the server is told.

use std::io::Write;

use super::Embedded;

/// Prints how to reach the server and how data is kept, on standard output.
pub(crate) fn print(embedded: &Embedded) {
    let endpoint = embedded.endpoint();
    let root = embedded.root();
    let mut text =
        format!("Ashlar is running.\n\n  Endpoint    {endpoint}\n  Region      {}\n", embedded.region());
    if let Some(websites) = embedded.websites() {
        text += &format!("  Websites    {websites}\n");
    }
    text += &format!("  Access key  {}\n", root.user);
    text += &match (&root.file, root.generated) {
        (Some(file), true) => {
            format!(
                "  Secret key  {}\n              (kept in {}; not shown again)\n",
                root.password.expose(),
                file.display()
            )
        }
        (Some(file), false) => format!("  Secret key  in {}\n", file.display()),
        (None, _) => "  Secret key  as given\n".to_owned(),
    };
    text += &format!("  Storage     {}\n", embedded.storage());
    let secret = match (&root.file, root.generated) {
        (_, true) => root.password.expose().to_owned(),
        // As the file was written at the first start: a field in each line.
        (Some(file), false) => format!(
            r#""$(sed -n 's/.*"secret_access_key": "\(.*\)".*/\1/p' {})""#,
            quoted(&std::path::absolute(file).unwrap_or_else(|_| file.clone()).display().to_string())
        ),
        (None, false) => "...".to_owned(),
    };
    let region = embedded.region();
    text += &format!(
        "\nTry it with aws-cli, 2.13 or 1.29 at least:\n\n  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region} AWS_DEFAULT_REGION={region}\n  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={secret}\n  aws s3 mb s3://photos && aws s3 cp /etc/hostname s3://photos/ && aws s3 ls s3://photos\n",
        root.user,
    );
    // A server goes on when nobody reads what it prints.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
