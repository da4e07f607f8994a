//! What a service is called, for `{name}` in its settings.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What stands for the name.
pub(crate) const PLACEHOLDER: &str = "{name}";

const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const RESOLVERS: &str = "/etc/resolv.conf";
const FILE_LENGTH_MAX: usize = 1 << 20;

/// Longest wait for one answer of a name server, how often it is asked, and how long apart.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Where a service's name comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum NameSource {
    /// The host's name.
    #[default]
    Host,
    /// What the name server calls the host's address, up to the first dot.
    Dns,
}

/// The service does not find out what it is called.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// A file of the system cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no address to ask for.
    #[error("/etc/hosts has no address of this host, {host}, but of loopback")]
    NoAddress {
        /// The host's name.
        host: String,
    },
    /// Nobody can be asked.
    #[error("/etc/resolv.conf names no name server")]
    NoServer,
    /// The name server does not say it.
    #[error("the name server {server} does not say what {address} is called")]
    Unknown {
        /// The name server.
        server: IpAddr,
        /// This host.
        address: Ipv4Addr,
    },
    /// The name is no name of a folder and of a host.
    #[error("this service is called '{0}', which is not letters, digits, '.', '_' and '-' alone")]
    Invalid(String),
}

/// What this service is called.
pub(crate) async fn own_name(env: &Env, source: NameSource) -> Result<String, NameError> {
    let host = read(env, HOSTNAME).await?.trim().to_owned();
    let name = match source {
        NameSource::Host => host,
        NameSource::Dns => {
            let address = address_in(&read(env, HOSTS).await?, &host).ok_or(NameError::NoAddress { host })?;
            let server = server_in(&read(env, RESOLVERS).await?).ok_or(NameError::NoServer)?;
            asked(env, server, address).await.ok_or(NameError::Unknown { server, address })?
        }
    };
    // It becomes a part of a path: nothing that leads out of it.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let good = (1..=63).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.');
    if good { Ok(name) } else { Err(NameError::Invalid(name)) }
}

async fn read(env: &Env, path: &'static str) -> Result<String, NameError> {
    let disk = env.disk().clone();
    let reading = env.spawn_blocking(move || disk.read_small(Path::new(path), FILE_LENGTH_MAX));
    let contents = reading.await.unwrap_or_else(|| Err(io::Error::other("reading was given up")));
    let contents = contents.map_err(|source| NameError::File { path: path.into(), source })?;
    Ok(String::from_utf8_lossy(&contents).into_owned())
}

/// A host's first address in a file such as /etc/hosts.
fn address_in(hosts: &str, host: &str) -> Option<Ipv4Addr> {
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address: Ipv4Addr = words.next()?.parse().ok()?;
        (!address.is_loopback() && words.any(|name| name == host)).then_some(address)
    })
}

/// The first name server in a file such as /etc/resolv.conf.
fn server_in(resolvers: &str) -> Option<IpAddr> {
    resolvers.lines().find_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
}

/// The name that the server has for an address. Asked again a few times: a network may know an address a moment after the
/// process has it.
async fn asked(env: &Env, server: IpAddr, address: Ipv4Addr) -> Option<String> {
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            env.sleep(PAUSE).await;
        }
        let answer = env.timeout(ANSWER_WAIT, ask(env, server, address)).await;
        if let Ok(Ok(answer)) = answer
            && let Some(name) = name_in(&answer)
        {
            return Some(name);
        }
    }
    None
}

/// Asks a name server over TCP (RFC 1035, section 4.2.2).
async fn ask(env: &Env, server: IpAddr, address: Ipv4Addr) -> io::Result<Vec<u8>> {
    let mut connection = env.connect(&SocketAddr::new(server, 53).to_string()).await?;
    let question = question(address);
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    connection.write_all(&[&length.to_be_bytes()[..], &question].concat()).await?;
    let length = connection.read_u16().await?;
    let mut answer = vec![0; length.into()];
    connection.read_exact(&mut answer).await?;
    Ok(answer)
}

/// The question what an address is called.
fn question(address: Ipv4Addr) -> Vec<u8> {
    // An identity of no meaning, recursion desired, one question.
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let [a, b, c, d] = address.octets().map(|part| part.to_string());
    for label in [d.as_str(), &c, &b, &a, "in-addr", "arpa"] {
        question.push(u8::try_from(label.len()).unwrap_or_default());
        question.extend_from_slice(label.as_bytes());
    }
    // The end of the name, type PTR, class IN.
    question.extend_from_slice(&[0, 0, 12, 0, 1]);
    question
}

/// The first part of the first name that an answer has.
fn name_in(answer: &[u8]) -> Option<String> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    let (questions, answers) = (number(4)?, number(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = after_name(answer, at)? + 4;
    }
    for _ in 0..answers {
        let record = after_name(answer, at)?;
        let (kind, length) = (number(record)?, number(record + 8)?);
        let data = record + 10;
        if kind == 12 {
            return first_label(answer, data);
        }
        at = data + usize::from(length);
    }
    None
}

/// Where what follows a name begins.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            // The rest is elsewhere.
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

/// The first label of a name, which may itself be elsewhere.
fn first_label(message: &[u8], at: usize) -> Option<String> {
    let length = *message.get(at)?;
    let at = if length >= 0xc0 {
        usize::from(u16::from_be_bytes([length & 0x3f, *message.get(at + 1)?]))
    } else {
        at
    };
    let length = usize::from(*message.get(at)?);
    let label = message.get(at + 1..at + 1 + length)?;
    (0 < length && length < 64).then(|| String::from_utf8_lossy(label).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as Docker's name server gives it.
    fn answer(name: &[&str]) -> Vec<u8> {
        let mut message = question(Ipv4Addr::new(172, 19, 0, 2));
        message[2..4].copy_from_slice(&[0x81, 0x80]);
        message[7] = 1;
        // The name of the question, PTR, IN, ten minutes.
        message.extend_from_slice(&[0xc0, 12, 0, 12, 0, 1, 0, 0, 2, 88]);
        let length: usize = name.iter().map(|label| label.len() + 1).sum();
        message.extend_from_slice(&[0, u8::try_from(length + 1).unwrap()]);
        for label in name {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message
    }

    #[test]
    fn a_name_is_what_stands_before_the_network() {
        assert_eq!(name_in(&answer(&["ashlar-chunk-2", "ashlar_data"])).as_deref(), Some("ashlar-chunk-2"));
        assert_eq!(name_in(&answer(&["h7", "example", "com"])).as_deref(), Some("h7"));
        assert_eq!(name_in(&question(Ipv4Addr::new(172, 19, 0, 2))), None);
    }

    #[test]
    fn a_cut_answer_has_no_name_and_harms_nobody() {
        let whole = answer(&["ashlar-chunk-2", "ashlar_data"]);
        let end_of_label = whole.len() - 1 - "ashlar_data".len() - 1;
        for length in 0..end_of_label {
            assert_eq!(name_in(&whole[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn the_address_is_not_that_of_loopback() {
        let hosts = "127.0.0.1 localhost 5e09\n::1 localhost\n172.19.0.4\t5e09 # control\n172.18.0.4\t5e09\n";
        assert_eq!(address_in(hosts, "5e09"), Some(Ipv4Addr::new(172, 19, 0, 4)));
        assert_eq!(address_in(hosts, "localhost"), None);
    }

    #[test]
    fn the_first_name_server_is_asked() {
        let resolvers = "search example.com\nnameserver 127.0.0.11\nnameserver 1.1.1.1\noptions ndots:0\n";
        assert_eq!(server_in(resolvers), Some(IpAddr::from([127, 0, 0, 11])));
        assert_eq!(server_in("options ndots:0\n"), None);
    }
}
