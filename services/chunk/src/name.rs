//! What a service is called, for `{name}` in its settings.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
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

/// Types of records: the address of a name, and the name of an address.
const A: u16 = 1;
const PTR: u16 = 12;

/// Most labels of a name: each has two bytes at least, and all 255 at most.
const LABELS_MAX: usize = 127;

/// Most names of one address that are tried.
const NAMES_MAX: usize = 16;

/// How long a name server is asked. What a cache has is answered until its life is over, and that there is nothing, as well.
struct Patience {
    /// Longest wait for one answer.
    answer: Duration,
    /// How long apart it is asked, at first; twice as long each time.
    pause: Duration,
    pause_max: Duration,
    /// For how long, until one more answer ends it: as long as the first answer lives, within these.
    least: Duration,
    most: Duration,
}

const PATIENCE: Patience = Patience {
    answer: Duration::from_secs(3),
    pause: Duration::from_millis(500),
    pause_max: Duration::from_secs(10),
    least: Duration::from_secs(60),
    most: Duration::from_secs(600),
};

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
    /// The name is another host's, as far as the name server knows.
    #[error(
        "the name server {server} calls {address} '{name}', but {}: correct its entries, or give this service's name instead of {PLACEHOLDER}",
        leads_to(.found)
    )]
    Elsewhere {
        /// The name server.
        server: IpAddr,
        /// This host.
        address: Ipv4Addr,
        /// What it is called.
        name: String,
        /// Where the name leads.
        found: Vec<Ipv4Addr>,
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
            asked(env, SocketAddr::new(server, 53), address, &PATIENCE).await?
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

/// The name that the server has for an address, up to the first dot, if it leads back to the address: who finds another
/// service's folder by a name that is not its own would serve its disks. Asked again for a while: a network may know an address a
/// moment after the process has it, and a cache may remember who had it before.
async fn asked(
    env: &Env,
    server: SocketAddr,
    address: Ipv4Addr,
    patience: &Patience,
) -> Result<String, NameError> {
    let (begun, mut pause) = (env.now(), patience.pause);
    let mut ending = None;
    loop {
        let (error, life) = match ask_once(env, server, address, patience).await {
            Ok(name) => return Ok(name),
            Err(refused) => refused,
        };
        let asked_for = env.now().since(begun);
        let ending = *ending.get_or_insert_with(|| asked_for + life.clamp(patience.least, patience.most));
        if asked_for >= ending {
            return Err(error);
        }
        if pause == patience.pause {
            tracing::warn!(%error, seconds = ending.as_secs(), "the name server is asked again for a while");
        }
        env.sleep(pause).await;
        pause = (pause * 2).min(patience.pause_max);
    }
}

/// The same, once; otherwise why not, and how long that is remembered at most. Of several names, which a server gives in any order, it
/// is the first by the alphabet.
async fn ask_once(
    env: &Env,
    server: SocketAddr,
    address: Ipv4Addr,
    patience: &Patience,
) -> Result<String, (NameError, Duration)> {
    let mut reason = (NameError::Unknown { server: server.ip(), address }, Duration::ZERO);
    let Some(answer) = ask(env, server, &backward(address), PTR, patience).await else { return Err(reason) };
    let mut names = names_in(&answer);
    names.sort();
    for name in names.into_iter().take(NAMES_MAX) {
        let found = ask(env, server, &name, A, patience).await.unwrap_or_default();
        let (life, found) = (life_of(&answer).max(life_of(&found)), addresses_in(&found));
        if found.contains(&address)
            && let Some(first) = name.first()
        {
            return Ok(String::from_utf8_lossy(first).into_owned());
        }
        let elsewhere = NameError::Elsewhere { server: server.ip(), address, name: dotted(&name), found };
        reason = (elsewhere, reason.1.max(life));
    }
    Err(reason)
}

fn leads_to(found: &[Ipv4Addr]) -> String {
    let addresses: Vec<String> = found.iter().map(ToString::to_string).collect();
    match addresses[..] {
        [] => "does not say where that name leads".to_owned(),
        _ => format!("that name leads to {}", addresses.join(" and ")),
    }
}

/// Asks a name server over TCP (RFC 1035, section 4.2.2), for a while.
async fn ask(
    env: &Env,
    server: SocketAddr,
    name: &[Vec<u8>],
    kind: u16,
    patience: &Patience,
) -> Option<Vec<u8>> {
    env.timeout(patience.answer, exchange(env, server, &question(name, kind))).await.ok()?.ok()
}

async fn exchange(env: &Env, server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut connection = env.connect(&server.to_string()).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    connection.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = connection.read_u16().await?;
    let mut answer = vec![0; length.into()];
    connection.read_exact(&mut answer).await?;
    Ok(answer)
}

/// What is asked what an address is called.
fn backward(address: Ipv4Addr) -> Vec<Vec<u8>> {
    let [a, b, c, d] = address.octets().map(|part| part.to_string());
    [d.as_str(), &c, &b, &a, "in-addr", "arpa"].map(|label| label.as_bytes().to_vec()).to_vec()
}

/// A question about a name, in labels of at most 63 bytes.
fn question(name: &[Vec<u8>], kind: u16) -> Vec<u8> {
    // An identity of no meaning, recursion desired, one question.
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name {
        question.push(u8::try_from(label.len()).unwrap_or_default());
        question.extend_from_slice(label);
    }
    // The end of the name, the type, class IN.
    question.push(0);
    question.extend_from_slice(&kind.to_be_bytes());
    question.extend_from_slice(&[0, 1]);
    question
}

/// The names that an answer has, in labels.
fn names_in(answer: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let of_names = records_in(answer).into_iter().filter(|record| record.kind == PTR);
    let names = of_names.filter_map(|record| name_at(answer, record.data.start));
    names.filter(|name| !name.is_empty()).collect()
}

/// How long an answer may be remembered.
fn life_of(answer: &[u8]) -> Duration {
    records_in(answer).iter().map(|record| record.life).max().unwrap_or_default()
}

/// The addresses that an answer has.
fn addresses_in(answer: &[u8]) -> Vec<Ipv4Addr> {
    let of_addresses = records_in(answer).into_iter().filter(|record| record.kind == A);
    let octets = of_addresses.filter_map(|record| <[u8; 4]>::try_from(answer.get(record.data)?).ok());
    octets.map(Ipv4Addr::from).collect()
}

/// What a record is, and where its data stands.
struct Record {
    kind: u16,
    life: Duration,
    data: Range<usize>,
}

/// The records of an answer, as far as it goes.
fn records_in(answer: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    read_records(answer, &mut records);
    records
}

fn read_records(answer: &[u8], records: &mut Vec<Record>) -> Option<()> {
    let number = |at: usize| Some(u16::from_be_bytes([*answer.get(at)?, *answer.get(at + 1)?]));
    let (questions, answers) = (number(4)?, number(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = after_name(answer, at)? + 4;
    }
    for _ in 0..answers {
        let record = after_name(answer, at)?;
        let (kind, length) = (number(record)?, number(record + 8)?);
        let life = (u32::from(number(record + 4)?) << 16) | u32::from(number(record + 6)?);
        let life = Duration::from_secs(life.into());
        let data = record + 10;
        at = data + usize::from(length);
        records.push(Record { kind, life, data: data..at });
    }
    Some(())
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

/// The labels of a name, parts of which may be elsewhere, always before (RFC 1035, section 4.1.4).
fn name_at(message: &[u8], mut at: usize) -> Option<Vec<Vec<u8>>> {
    let (mut labels, mut before) = (Vec::new(), at + 1);
    loop {
        let length = *message.get(at)?;
        if length >= 0xc0 {
            at = usize::from(u16::from_be_bytes([length & 0x3f, *message.get(at + 1)?]));
            if at >= before {
                return None;
            }
            before = at;
            continue;
        }
        let length = usize::from(length);
        if length == 0 {
            return Some(labels);
        }
        if length > 63 || labels.len() >= LABELS_MAX {
            return None;
        }
        labels.push(message.get(at + 1..at + 1 + length)?.to_vec());
        at += 1 + length;
    }
}

/// A name as people write it.
fn dotted(labels: &[Vec<u8>]) -> String {
    labels.iter().map(|label| label.escape_ascii().to_string()).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(172, 19, 0, 2);

    fn labels(name: &[&str]) -> Vec<Vec<u8>> {
        name.iter().map(|label| label.as_bytes().to_vec()).collect()
    }

    /// For tests that end when nothing is right.
    const SHORT: Patience = Patience {
        answer: Duration::from_secs(3),
        pause: Duration::from_millis(5),
        pause_max: Duration::from_millis(10),
        least: Duration::from_millis(20),
        most: Duration::from_millis(20),
    };

    /// An answer of one record as Docker's name server gives it.
    fn answered(question: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        answered_by(question, kind, &[data.to_vec()])
    }

    /// An answer of several records.
    fn answered_by(question: &[u8], kind: u16, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = question.to_vec();
        message[2..4].copy_from_slice(&[0x81, 0x80]);
        message[7] = u8::try_from(records.len()).unwrap();
        for data in records {
            // The name of the question, the type, IN, ten minutes.
            message.extend_from_slice(&[0xc0, 12]);
            message.extend_from_slice(&kind.to_be_bytes());
            message.extend_from_slice(&[0, 1, 0, 0, 2, 88]);
            message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
            message.extend_from_slice(data);
        }
        message
    }

    /// A name as a record has it.
    fn encoded(name: &[&str]) -> Vec<u8> {
        let mut data = Vec::new();
        for label in name {
            data.push(u8::try_from(label.len()).unwrap());
            data.extend_from_slice(label.as_bytes());
        }
        data.push(0);
        data
    }

    fn answer(name: &[&str]) -> Vec<u8> {
        answered(&question(&backward(HOST), PTR), PTR, &encoded(name))
    }

    fn name_in(answer: &[u8]) -> Option<Vec<Vec<u8>>> {
        names_in(answer).into_iter().next()
    }

    #[test]
    fn a_name_is_read_to_its_end() {
        for name in [&["ashlar-chunk-2", "ashlar_data"][..], &["h7", "example", "com"]] {
            assert_eq!(name_in(&answer(name)), Some(labels(name)));
        }
        assert_eq!(name_in(&question(&backward(HOST), PTR)), None);
        // The end of it is in the question.
        let arpa = 12 + 1 + "2.0.19.172.in-addr".len();
        let data = [&[1, b'x'][..], &[0xc0, u8::try_from(arpa).unwrap()]].concat();
        let compressed = answered(&question(&backward(HOST), PTR), PTR, &data);
        assert_eq!(name_in(&compressed), Some(labels(&["x", "arpa"])));
    }

    #[test]
    fn a_name_that_never_ends_is_none() {
        let question = question(&backward(HOST), PTR);
        let data = question.len() + 12;
        for at in [data, data + 2, 0x3fff] {
            let pointer = (0xc000 | u16::try_from(at).unwrap()).to_be_bytes();
            let message = answered(&question, PTR, &[&[1, b'x'][..], &pointer].concat());
            assert_eq!(name_in(&message), None, "{at}");
        }
    }

    #[test]
    fn a_cut_answer_has_no_name_and_no_address_and_harms_nobody() {
        let whole = answer(&["ashlar-chunk-2", "ashlar_data"]);
        for length in 0..whole.len() {
            assert_eq!(name_in(&whole[..length]), None, "{length} bytes");
        }
        let whole = answered(&question(&labels(&["a"]), A), A, &HOST.octets());
        assert_eq!(addresses_in(&whole), [HOST]);
        for length in 0..whole.len() {
            assert!(addresses_in(&whole[..length]).is_empty(), "{length} bytes");
        }
    }

    /// A name server that calls every address by these names. Where these lead is told for the question and for how often it was
    /// asked anything before.
    async fn name_server(
        env: &Env,
        names: &'static [&'static [&'static str]],
        leads_to: impl Fn(&[u8], usize) -> Vec<Ipv4Addr> + Send + 'static,
    ) -> SocketAddr {
        let listener = env.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = listener.local_address().unwrap();
        let _serving: env::Task<()> = env.spawn(async move {
            for asked_before in 0.. {
                let (mut connection, _) = listener.accept().await.unwrap();
                let length = connection.read_u16().await.unwrap();
                let mut asked = vec![0; length.into()];
                connection.read_exact(&mut asked).await.unwrap();
                let is_backward = asked.ends_with(&[0, 0, 12, 0, 1]);
                let answer = if is_backward {
                    answered_by(&asked, PTR, &names.iter().map(|name| encoded(name)).collect::<Vec<_>>())
                } else {
                    let found = leads_to(&asked, asked_before);
                    answered_by(&asked, A, &found.iter().map(|it| it.octets().to_vec()).collect::<Vec<_>>())
                };
                connection.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                connection.write_all(&answer).await.unwrap();
                connection.flush().await.unwrap();
            }
        });
        server
    }

    #[tokio::test]
    async fn a_name_counts_only_where_it_leads_back() {
        let env = Env::real();
        let names: &[&[&str]] = &[&["ashlar-chunk-2", "ashlar_data"]];
        let server = name_server(&env, names, |_, _| vec![HOST]).await;
        assert_eq!(asked(&env, server, HOST, &SHORT).await.unwrap(), "ashlar-chunk-2");
        let other = Ipv4Addr::new(172, 19, 0, 9);
        for (found, told) in [(vec![other], "that name leads to 172.19.0.9"), (vec![], "does not say where")]
        {
            let leads_to = found.clone();
            let server = name_server(&env, names, move |_, _| leads_to.clone()).await;
            let error = asked(&env, server, HOST, &SHORT).await.unwrap_err();
            assert!(matches!(&error, NameError::Elsewhere { found: to, .. } if *to == found), "{error}");
            let text = error.to_string();
            assert!(text.contains("'ashlar-chunk-2.ashlar_data'") && text.contains(told), "{text}");
        }
    }

    #[tokio::test]
    async fn every_name_of_an_address_is_tried_whatever_their_order() {
        const FORTH: &[&[&str]] = &[&["old"], &["h7", "b"], &["h8", "b"]];
        const BACK: &[&[&str]] = &[&["h8", "b"], &["h7", "b"], &["old"]];
        let env = Env::real();
        let leads_to = |asked: &[u8], _| {
            let is_old = asked.windows(3).any(|part| part == b"old");
            vec![if is_old { Ipv4Addr::new(172, 19, 0, 9) } else { HOST }]
        };
        for names in [FORTH, BACK] {
            let server = name_server(&env, names, leads_to).await;
            assert_eq!(asked(&env, server, HOST, &SHORT).await.unwrap(), "h7");
        }
    }

    #[tokio::test]
    async fn what_a_cache_remembers_is_outlived() {
        let env = Env::real();
        // Each time that it is asked for the name it is asked where that leads.
        let leads_to = |_: &[u8], asked_before| {
            vec![if asked_before < 40 { Ipv4Addr::new(172, 19, 0, 9) } else { HOST }]
        };
        let server = name_server(&env, &[&["h7"]], leads_to).await;
        let patience =
            Patience { pause_max: Duration::from_millis(5), most: Duration::from_secs(60), ..SHORT };
        assert_eq!(asked(&env, server, HOST, &patience).await.unwrap(), "h7");
        let server = name_server(&env, &[&["h7"]], leads_to).await;
        asked(&env, server, HOST, &SHORT).await.unwrap_err();
        assert_eq!(life_of(&answer(&["h7"])), Duration::from_secs(600));
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
