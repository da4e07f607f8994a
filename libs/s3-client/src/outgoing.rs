//! What everything that connects to a URL out of a setting or a record shares: where it may lead, and the connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use env::{Connection, Env};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::Tls;

/// Whether an address is of no single machine, or of the link alone, where clouds tell machines their credentials.
pub fn is_nobodys(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_unspecified() || address.is_multicast() || address.is_unicast_link_local()
        }
    }
}

/// Whether an address is one of the internet's: of a machine that anybody can reach, and none of a net of somebody's own. Source: IANA IPv4
/// and IPv6 Special-Purpose Address Registries.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || matches!((a, b), (100, 64..=127) | (198, 18..=19))
        || matches!((a, b, c), (192, 0, 0) | (192, 88, 99));
    !is_special
}

/// Those that were given out, without those that stand for an address of version 4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    segments[0] & 0xe000 == 0x2000
        && segments[0] != 0x2002
        && !(segments[0] == 0x2001 && segments[1] < 0x0200)
        && !(segments[0] == 0x2001 && segments[1] == 0x0db8)
        && !(segments[0] == 0x3fff && segments[1] < 0x1000)
}

/// Whether a host is this machine.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Opens HTTP/1.1 on a connection, over TLS if it is given. The connection ends with the sender.
pub async fn open_http(
    env: &Env,
    connection: Box<dyn Connection>,
    tls: Option<&Tls>,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let connection: Box<dyn Connection> = match tls {
        Some((tls, name)) => {
            Box::new(tls.connect(name.clone(), connection).await.map_err(|error| error.to_string())?)
        }
        None => connection,
    };
    let (sender, connection) =
        http1::handshake(TokioIo::new(connection)).await.map_err(|error| error.to_string())?;
    drop(env.spawn(async move { drop(connection.await) }));
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{is_nobodys, is_public};

    #[test]
    fn addresses_are_told_apart() {
        let addresses = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        for address in addresses(&[
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ]) {
            assert!(is_nobodys(address) && !is_public(address), "{address}");
        }
        for address in addresses(&[
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "198.18.0.1",
            "192.0.2.1",
            "203.0.113.1",
            "240.0.0.1",
            "0.1.2.3",
            "::ffff:10.0.0.1",
            "fd00:ec2::254",
            "2001:db8::1",
            "2002:a9fe:a9fe::1",
            "2001:0:1::1",
            "64:ff9b::a9fe:a9fe",
            "::127.0.0.1",
        ]) {
            assert!(!is_nobodys(address) || address.is_loopback(), "{address}");
            assert!(!is_public(address), "{address}");
        }
        for address in
            addresses(&["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
        {
            assert!(!is_nobodys(address) && is_public(address), "{address}");
        }
    }
}
