//! Providers of OpenID Connect, as policies name them: by their URL without `https://`. IAM User Guide, "AWS JSON policy elements:
//! Principal", the section "OIDC federated principal", and "IAM and AWS STS condition context keys", the section "Available keys for
//! AWS OIDC federation".

/// Most bytes of a provider's URL. IAM API Reference, "CreateOpenIDConnectProvider".
const URL_LENGTH_MAX: usize = 255;

/// Whether a text is the name of a provider: a host, a port if need be, and a path if need be. A host without a dot has a port or a path,
/// so that what stands before a claim is never what condition keys of services begin with.
pub fn is_provider(name: &str) -> bool {
    let (authority, path) = name.split_once('/').map_or((name, None), |(host, path)| (host, Some(path)));
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(good) && !label.starts_with('-')
    };
    let is_port =
        |port: &str| port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port);
    let is_path = |path: &str| {
        path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte))
            && path.split('/').all(|part| part != "." && part != "..")
    };
    name.len() + "https://".len() <= URL_LENGTH_MAX
        && host.split('.').all(is_label)
        && port.is_none_or(is_port)
        && path.is_none_or(is_path)
        && (host.contains('.') || port.is_some() || path.is_some_and(|path| !path.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::is_provider;

    #[test]
    fn a_provider_is_a_host_with_a_path() {
        for good in [
            "token.actions.githubusercontent.com",
            "accounts.google.com",
            "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E",
            "kubernetes.default.svc.cluster.local",
            "keycloak.example.com:8443/realms/a_b~c",
            "keycloak:8443",
            "keycloak/realms/x",
            "10.0.0.1:6443",
            "example.auth0.com/",
            "127.0.0.1:5000/a/",
        ] {
            assert!(is_provider(good), "{good}");
        }
        for bad in [
            "",
            "aws",
            "s3",
            "keycloak",
            "keycloak/",
            "https://a.example.com",
            "a..b",
            ".a.b",
            "-a.b",
            "a.b:0",
            "a.b:08",
            "a.b:99999",
            "a.b:x",
            "a.b?x",
            "a.b/x?y",
            "a.b/#x",
            "a.b/../c",
            "a.b/%2e",
            "a.b/x y",
            "u@a.b",
            "[::1]:1",
            "a.b*",
            &format!("a.b/{}", "x".repeat(244)),
        ] {
            assert!(!is_provider(bad), "{bad}");
        }
    }
}
