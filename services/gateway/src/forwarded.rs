//! Who asks, where a proxy that is trusted asks in somebody's name.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, request::Parts};
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Gives a request from a trusted proxy the address that the proxy says it comes from, in the place of the proxy's own. Of a request
/// from anybody else its connection alone is believed.
pub(crate) fn resolve(parts: &mut Parts, trusted: &[IpNet]) {
    if trusted.is_empty() {
        return;
    }
    let Some(peer) = parts.extensions.get::<SocketAddr>() else { return };
    let client = client(peer.ip().to_canonical(), &parts.headers, trusted);
    parts.extensions.insert(SocketAddr::new(client, 0));
}

/// The last address that a trusted proxy had a request from. Each proxy adds the address of its peer to the right of what it was
/// told, so what lies to the left of an address that is not trusted may be anybody's invention.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
    let mut client = peer;
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        let Ok(value) = value.to_str() else { return client };
        for told in value.rsplit(',') {
            if !is_trusted(client) {
                return client;
            }
            let Some(told) = address(told.trim()) else { return client };
            client = told;
        }
    }
    client
}

/// An address as proxies write it, some of them with the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Reads an address or a range in CIDR notation.
pub(crate) fn parse(text: &str) -> Result<IpNet, String> {
    let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| address.to_canonical().into()));
    net.map_err(|_| "is neither an address nor a range such as 10.0.0.0/8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str]) -> String {
        let trusted = [parse("10.0.0.0/8").unwrap(), parse("fd00::1").unwrap()];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_trusted_proxy_says_whom_it_asks_for() {
        assert_eq!(of("10.1.2.3", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(of("fd00::1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(of("10.1.2.3", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(of("10.1.2.3", &["[2001:db8::7]"]), "2001:db8::7");
        assert_eq!(of("10.1.2.3", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(of("10.1.2.3", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(of("10.1.2.3", &["::ffff:192.0.2.7"]), "192.0.2.7");
    }

    #[test]
    fn what_clients_say_of_themselves_is_not_believed() {
        assert_eq!(of("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        assert_eq!(of("10.1.2.3", &["198.51.100.1, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(of("10.1.2.3", &["198.51.100.1", "192.0.2.7"]), "192.0.2.7");
        // Nor when they say that a proxy sent them.
        assert_eq!(of("10.1.2.3", &["10.0.0.9, 192.0.2.7, 10.0.0.8"]), "192.0.2.7");
        assert_eq!(of("fd00::2", &["198.51.100.1"]), "fd00::2");
    }

    #[test]
    fn where_nothing_sound_is_said_it_is_the_last_that_is_known() {
        assert_eq!(of("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(of("10.1.2.3", &[""]), "10.1.2.3");
        assert_eq!(of("10.1.2.3", &["unknown"]), "10.1.2.3");
        assert_eq!(of("10.1.2.3", &["192.0.2.7, unknown, 10.0.0.8"]), "10.0.0.8");
        assert_eq!(of("10.1.2.3", &["10.0.0.8"]), "10.0.0.8");
    }

    #[test]
    fn ranges_are_read_in_full_or_refused() {
        for text in ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy", "fd00::/129"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
