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
        (_, true) => root.password.expose(),
        (Some(_), false) | (None, false) => "...",
    };
    text += &format!(
        "\nTry it with aws-cli:\n\n  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={}\n  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={secret}\n  aws s3 mb s3://photos && aws s3 cp /etc/hostname s3://photos/ && aws s3 ls s3://photos\n",
        embedded.region(),
        root.user,
    );
    // A server goes on when nobody reads what it prints.
    let _ = writeln!(std::io::stdout(), "{text}");
}
