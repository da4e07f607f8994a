//! The command line, and the settings that follow from it once it has been checked.

use std::{ops::RangeInclusive, time::Duration};

use clap::ValueEnum;

use crate::bench::BenchError;
use s3_client::{Connect, ConnectArgs, Endpoint, parse_duration, parse_size};

const CONCURRENCY: RangeInclusive<u64> = 1..=10_000;
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000_000;
const OBJECTS: RangeInclusive<u64> = 1..=100_000_000;
const PREFIXES: RangeInclusive<u64> = 1..=1_000;
const PART_SIZE: RangeInclusive<u64> = 5 << 20..=5 << 30;
/// S3's limits for one PUT and for an object.
const PUT_SIZE_MAX: u64 = 5 << 30;
const OBJECT_SIZE_MAX: u64 = 5 << 40;
const PARTS_MAX: u64 = 10_000;
const DURATION_MAX: Duration = Duration::from_hours(24);
const DURATION_DEFAULT: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  export AWS_ENDPOINT_URL=http://127.0.0.1:9000 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...
  ashlar bench --op put --size 4KiB --concurrency 16
  ashlar bench --op get --size 64MiB --concurrency 4 --duration 30s --server-pid $(pgrep -f 'ashlar server')
  ashlar bench --op range --size 64MiB --range-size 64KiB --concurrency 16
  ashlar bench --op multipart --size 80MiB --part-size 16MiB --concurrency 2
  ashlar bench --op list --objects 20000 --concurrency 2            pages of 1,000 keys
  ashlar bench --op list --objects 20000 --prefixes 200             one page of common prefixes
  ashlar bench --op mixed --size 64KiB --mix get=45,head=30,put=15,delete=10 --json
  ashlar bench --op put --size 1KiB --requests 1000000 --concurrency 64 --bucket many --prefix m/ --keep
  ashlar bench --op list --objects 1000000 --bucket many --prefix m/ --prepared --keep

Objects hold pseudo-random bytes that follow from key and size and repeat after 1 MiB and 7 bytes; every byte that
a GET answers is compared. Objects are stored under a prefix of the run's own and removed when it ends. The status is
0 only when every request succeeded.";

/// Loads an S3 server with requests and measures it.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to do: one kind of request, or `mixed`.
    #[arg(long = "op", value_enum)]
    operation: Operation,
    /// Size of each object.
    #[arg(long, default_value = "4KiB", value_parser = parse_size)]
    size: u64,
    /// Requests at a time, each on a connection of its own.
    #[arg(long, default_value_t = 16)]
    concurrency: u64,
    /// How long to go on [default: 10s, or until --requests are done].
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How many requests to make; with --duration, whichever ends first.
    #[arg(long)]
    requests: Option<u64>,

    /// Where the server is, such as http://127.0.0.1:9000. There is no default.
    #[arg(long, env = "AWS_ENDPOINT_URL", hide_env_values = true, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,

    /// Bucket to use; created, and removed in the end, if it does not exist [default: a new one].
    #[arg(long)]
    bucket: Option<String>,
    /// What all keys begin with: letters, digits and `-_./` [default: a new one].
    #[arg(long)]
    prefix: Option<String>,
    /// Objects to read, list, copy or delete [default: by operation and size]; for put, the number of keys that are
    /// written over and over [default: every PUT has a new key].
    #[arg(long)]
    objects: Option<u64>,
    /// The objects are there already, from a run with --keep and the same --bucket, --prefix, --size and --prefixes.
    #[arg(long, requires_all = ["bucket", "prefix", "objects"])]
    prepared: bool,
    /// Leave objects and bucket behind.
    #[arg(long)]
    keep: bool,
    /// Bytes of each range (for range).
    #[arg(long, default_value = "64KiB", value_parser = parse_size)]
    range_size: u64,
    /// Bytes of each part (for multipart).
    #[arg(long, default_value = "16MiB", value_parser = parse_size)]
    part_size: u64,
    /// Spread keys over this many folders and list those, with a delimiter (for list).
    #[arg(long)]
    prefixes: Option<u64>,
    /// Shares of the requests (for mixed).
    #[arg(long, default_value = "get=45,head=30,put=15,delete=10", value_parser = Mix::parse)]
    mix: Mix,

    /// Process ids of the server, on this machine: its CPU time, memory and bytes written are measured.
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    server_pid: Vec<u32>,
    /// Print one JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
    /// Tell the progress each second on standard error even when that is no terminal.
    #[arg(long)]
    progress: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    /// PutObject.
    Put,
    /// GetObject.
    Get,
    /// HeadObject.
    Head,
    /// ListObjectsV2, pages of 1,000 keys.
    List,
    /// DeleteObject.
    Delete,
    /// CopyObject.
    Copy,
    /// GetObject with a range.
    Range,
    /// CreateMultipartUpload, UploadPart, CompleteMultipartUpload.
    Multipart,
    /// GET, HEAD, PUT and DELETE, as --mix says.
    Mixed,
}

impl Operation {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Range => "range",
            Self::Multipart => "multipart",
            Self::Mixed => "mixed",
        }
    }

    /// How many objects it needs before it begins, by default.
    fn objects_default(self, size: u64, requests: Option<u64>) -> u64 {
        // A quarter of a gigabyte, but enough to choose from and not more than are stored in a few seconds.
        let readable = ((256 << 20) / size.max(1)).clamp(4, 1_000);
        match self {
            Self::Put | Self::Multipart => 0,
            Self::Get | Self::Head | Self::Range => readable,
            Self::Mixed => readable.max(64),
            Self::Copy => readable.min(16),
            Self::List => 10_000,
            Self::Delete => requests.unwrap_or(20_000),
        }
    }
}

/// Shares of the kinds of requests in `mixed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mix {
    pub(crate) get: u32,
    pub(crate) head: u32,
    pub(crate) put: u32,
    pub(crate) delete: u32,
}

impl Mix {
    /// Reads `get=45,head=30,put=15,delete=10`; a kind that is not named has none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wanted = || "expecting shares such as get=45,head=30,put=15,delete=10, each 0 to 1000".to_owned();
        let mut mix = Self { get: 0, head: 0, put: 0, delete: 0 };
        for pair in text.split(',') {
            let (name, share) = pair.split_once('=').ok_or_else(wanted)?;
            let share = share.parse().ok().filter(|share| *share <= 1_000).ok_or_else(wanted)?;
            match name {
                "get" => mix.get = share,
                "head" => mix.head = share,
                "put" => mix.put = share,
                "delete" => mix.delete = share,
                _ => return Err(wanted()),
            }
        }
        if mix.total() == 0 {
            return Err(wanted());
        }
        Ok(mix)
    }

    /// Sum of the shares.
    pub(crate) fn total(self) -> u32 {
        self.get + self.head + self.put + self.delete
    }
}

/// What to run: the command line with every value checked and every default filled in.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) operation: Operation,
    pub(crate) size: u64,
    pub(crate) concurrency: u64,
    pub(crate) duration: Option<Duration>,
    pub(crate) requests: Option<u64>,
    pub(crate) endpoint: Endpoint,
    pub(crate) connect: Connect,
    pub(crate) bucket: Option<String>,
    pub(crate) prefix: Option<String>,
    /// Objects that are there before the run; for `put`, how many keys are used in turn (0: each once).
    pub(crate) objects: u64,
    pub(crate) prepared: bool,
    pub(crate) keep: bool,
    pub(crate) range_size: u64,
    pub(crate) part_size: u64,
    pub(crate) prefixes: Option<u64>,
    pub(crate) mix: Mix,
    pub(crate) server_pids: Vec<u32>,
    pub(crate) json: bool,
    pub(crate) progress: bool,
}

impl Args {
    /// Checks everything that can be checked without the server.
    pub(crate) fn check(self) -> Result<Settings, BenchError> {
        let endpoint = s3_client::endpoint(self.endpoint.as_deref())?;
        within("--concurrency", self.concurrency, CONCURRENCY)?;
        self.requests.map_or(Ok(()), |requests| within("--requests", requests, REQUESTS))?;
        self.objects.map_or(Ok(()), |objects| within("--objects", objects, OBJECTS))?;
        self.prefixes.map_or(Ok(()), |prefixes| within("--prefixes", prefixes, PREFIXES))?;
        self.check_sizes()?;
        self.check_names()?;
        let duration = match (self.duration, self.requests) {
            (Some(duration), _) if duration.is_zero() || duration > DURATION_MAX => {
                return Err(BenchError::Settings("--duration must be 1ms to 24h".to_owned()));
            }
            (Some(duration), _) => Some(duration),
            (None, Some(_)) => None,
            (None, None) => Some(DURATION_DEFAULT),
        };
        let connect = self.connect.check()?;
        let objects =
            self.objects.unwrap_or_else(|| self.operation.objects_default(self.size, self.requests));
        Ok(Settings {
            operation: self.operation,
            size: self.size,
            concurrency: self.concurrency,
            duration,
            requests: self.requests,
            endpoint,
            connect,
            bucket: self.bucket,
            prefix: self.prefix,
            objects,
            prepared: self.prepared,
            keep: self.keep,
            range_size: self.range_size,
            part_size: self.part_size,
            prefixes: self.prefixes,
            mix: self.mix,
            server_pids: self.server_pid,
            json: self.json,
            progress: self.progress,
        })
    }

    fn check_sizes(&self) -> Result<(), BenchError> {
        match self.operation {
            Operation::Multipart => {
                within("--size", self.size, 1..=OBJECT_SIZE_MAX)?;
                within("--part-size", self.part_size, PART_SIZE)?;
                if self.size.div_ceil(self.part_size) > PARTS_MAX {
                    return Err(BenchError::Settings(format!(
                        "--size and --part-size make more than {PARTS_MAX} parts"
                    )));
                }
            }
            Operation::Range => {
                within("--size", self.size, 1..=PUT_SIZE_MAX)?;
                within("--range-size", self.range_size, 1..=self.size)?;
            }
            _ => within("--size", self.size, 0..=PUT_SIZE_MAX)?,
        }
        let prefixes_without_list =
            self.prefixes.is_some() && !matches!(self.operation, Operation::List | Operation::Put);
        if prefixes_without_list {
            return Err(BenchError::Settings(
                "--prefixes goes with --op list, or --op put to store for it".to_owned(),
            ));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), BenchError> {
        if let Some(prefix) = &self.prefix {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
            if prefix.len() > 512 || !prefix.bytes().all(plain) {
                return Err(BenchError::Settings(
                    "--prefix may hold up to 512 letters, digits and -_./".to_owned(),
                ));
            }
        }
        if let Some(bucket) = &self.bucket
            && let Err(error) = types::BucketName::new(bucket)
        {
            return Err(BenchError::Settings(format!("--bucket: {error}")));
        }
        Ok(())
    }
}

fn within(name: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), BenchError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(BenchError::Settings(format!("{name} must be {} to {}", allowed.start(), allowed.end())))
}
