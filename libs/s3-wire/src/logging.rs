//! Server access logging: where the records of a bucket's requests go, what the log objects are called, and the names of
//! operations in them. Amazon S3 User Guide, "Logging requests with server access logging".

use http::Method;
use types::{Permission, Timestamp};

use crate::{Operation, acl::NamedGrantee, date::xml_date, operation::Resource, percent};

/// Where the records of a bucket's requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// The bucket of the log objects, as it was named.
    pub target_bucket: String,
    /// What their keys begin with.
    pub target_prefix: String,
    /// How the keys go on; [`KeyFormat::Simple`] when nothing is said.
    pub key_format: Option<KeyFormat>,
    /// What the log objects grant beside their owner's full control.
    pub target_grants: Vec<(NamedGrantee, Permission)>,
}

/// How the key of a log object goes on after its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFormat {
    /// `SimplePrefix`: by when it is delivered.
    Simple,
    /// `PartitionedPrefix`: under the source and the date.
    Partitioned(DateSource),
}

/// Of what the date in a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateSource {
    /// The requests: a log object is of one day.
    EventTime,
    /// The delivery.
    DeliveryTime,
}

impl DateSource {
    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::EventTime => "EventTime",
            Self::DeliveryTime => "DeliveryTime",
        }
    }
}

/// A bucket whose requests are logged, as keys of log objects name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The account that it belongs to.
    pub account: &'a str,
    /// The region that it is in.
    pub region: &'a str,
    /// Its name.
    pub bucket: &'a str,
}

impl Logging {
    /// Whether a log object holds the requests of one day only.
    pub fn is_of_one_day(&self) -> bool {
        self.key_format == Some(KeyFormat::Partitioned(DateSource::EventTime))
    }

    /// The key of a log object that is delivered at `delivered`, with `event` the time of a request in it. Source: S3 API
    /// Reference, "TargetObjectKeyFormat", "SimplePrefix", "PartitionedPrefix".
    pub fn object_key(
        &self,
        source: Source<'_>,
        event: Timestamp,
        delivered: Timestamp,
        unique: u64,
    ) -> String {
        let Source { account, region, bucket } = source;
        let prefix = &self.target_prefix;
        let (time, is_day) = match self.key_format {
            Some(KeyFormat::Partitioned(DateSource::EventTime)) => (event, true),
            None | Some(KeyFormat::Simple | KeyFormat::Partitioned(DateSource::DeliveryTime)) => {
                (delivered, false)
            }
        };
        let text = xml_date(time);
        let (day, clock) = (&text.as_str()[..10], text.as_str()[11..19].replace(':', "-"));
        let clock = if is_day { "00-00-00" } else { clock.as_str() };
        match self.key_format {
            None | Some(KeyFormat::Simple) => format!("{prefix}{day}-{clock}-{unique:016X}"),
            Some(KeyFormat::Partitioned(_)) => {
                let folders = day.replace('-', "/");
                format!("{prefix}{account}/{region}/{bucket}/{folders}/{day}-{clock}-{unique:016X}")
            }
        }
    }
}

/// A time as records show it: `[06/Feb/2019:00:00:38 +0000]`.
pub fn record_time(time: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = xml_date(time);
    let (date, clock) = (&text.as_str()[..10], &text.as_str()[11..19]);
    let month = date[5..7].parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    format!("[{}/{}/{}:{clock} +0000]", &date[8..10], month.unwrap_or(&"-"), &date[..4])
}

/// A key as records show it: encoded as in a URL.
pub fn record_key(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len());
    percent::encode_url(key.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The name of an operation in a record: `REST.method.resource`. What no operation was recognised in is called by the
/// bucket or the object that it was addressed to. Source: User Guide, "Amazon S3 server access log format", "Operation"; AWS
/// lists no names, these are those that its logs have.
pub fn record_operation(method: &Method, operation: Option<Operation>, has_key: bool) -> String {
    let method = method.as_str();
    match operation {
        Some(Operation::CopyObject) => "REST.COPY.OBJECT".to_owned(),
        Some(Operation::UploadPartCopy) => "REST.COPY.PART".to_owned(),
        Some(Operation::RenameObject) => "REST.RENAME.OBJECT".to_owned(),
        Some(operation) => format!("REST.{method}.{}", resource_type(operation)),
        None if method == "OPTIONS" => "REST.OPTIONS.PREFLIGHT".to_owned(),
        None => format!("REST.{method}.{}", if has_key { "OBJECT" } else { "BUCKET" }),
    }
}

fn resource_type(operation: Operation) -> &'static str {
    use Operation as Op;
    match operation {
        Op::ListObjectVersions => "BUCKETVERSIONS",
        Op::ListMultipartUploads | Op::CreateMultipartUpload => "UPLOADS",
        Op::ListParts | Op::AbortMultipartUpload | Op::CompleteMultipartUpload => "UPLOAD",
        Op::UploadPart | Op::UploadPartCopy => "PART",
        Op::DeleteObjects => "MULTI_OBJECT_DELETE",
        Op::GetBucketLocation => "LOCATION",
        Op::GetBucketVersioning | Op::PutBucketVersioning => "VERSIONING",
        Op::GetBucketAcl | Op::PutBucketAcl | Op::GetObjectAcl | Op::PutObjectAcl => "ACL",
        Op::GetBucketOwnershipControls
        | Op::PutBucketOwnershipControls
        | Op::DeleteBucketOwnershipControls => "OWNERSHIP_CONTROLS",
        Op::GetPublicAccessBlock | Op::PutPublicAccessBlock | Op::DeletePublicAccessBlock => {
            "PUBLIC_ACCESS_BLOCK"
        }
        Op::GetBucketPolicy | Op::PutBucketPolicy | Op::DeleteBucketPolicy => "BUCKETPOLICY",
        Op::GetBucketPolicyStatus => "POLICY_STATUS",
        Op::GetObjectLockConfiguration | Op::PutObjectLockConfiguration => "OBJECT_LOCK_CONFIGURATION",
        Op::GetBucketLifecycleConfiguration
        | Op::PutBucketLifecycleConfiguration
        | Op::DeleteBucketLifecycle => "LIFECYCLE",
        Op::GetBucketReplication | Op::PutBucketReplication | Op::DeleteBucketReplication => "REPLICATION",
        Op::GetBucketEncryption
        | Op::PutBucketEncryption
        | Op::DeleteBucketEncryption
        | Op::UpdateObjectEncryption => "ENCRYPTION",
        Op::GetBucketCors | Op::PutBucketCors | Op::DeleteBucketCors => "CORS",
        Op::GetBucketWebsite | Op::PutBucketWebsite | Op::DeleteBucketWebsite => "WEBSITE",
        Op::GetBucketTagging | Op::PutBucketTagging | Op::DeleteBucketTagging => "TAGGING",
        Op::GetObjectTagging | Op::PutObjectTagging | Op::DeleteObjectTagging => "OBJECT_TAGGING",
        Op::GetBucketNotificationConfiguration | Op::PutBucketNotificationConfiguration => "NOTIFICATION",
        Op::GetBucketLogging | Op::PutBucketLogging => "LOGGING_STATUS",
        Op::GetBucketRequestPayment | Op::PutBucketRequestPayment => "REQUEST_PAYMENT",
        Op::GetBucketAccelerateConfiguration | Op::PutBucketAccelerateConfiguration => "ACCELERATE",
        Op::GetBucketInventoryConfiguration
        | Op::PutBucketInventoryConfiguration
        | Op::DeleteBucketInventoryConfiguration
        | Op::ListBucketInventoryConfigurations => "INVENTORY",
        Op::GetBucketAnalyticsConfiguration
        | Op::PutBucketAnalyticsConfiguration
        | Op::DeleteBucketAnalyticsConfiguration
        | Op::ListBucketAnalyticsConfigurations => "ANALYTICS",
        Op::GetBucketMetricsConfiguration
        | Op::PutBucketMetricsConfiguration
        | Op::DeleteBucketMetricsConfiguration
        | Op::ListBucketMetricsConfigurations => "METRICS",
        Op::GetBucketIntelligentTieringConfiguration
        | Op::PutBucketIntelligentTieringConfiguration
        | Op::DeleteBucketIntelligentTieringConfiguration
        | Op::ListBucketIntelligentTieringConfigurations => "INTELLIGENT_TIERING",
        Op::GetObjectAttributes => "OBJECT_ATTRIBUTES",
        Op::RestoreObject => "RESTORE",
        Op::GetObjectRetention | Op::PutObjectRetention => "OBJECT_LOCK_RETENTION",
        Op::GetObjectLegalHold | Op::PutObjectLegalHold => "OBJECT_LOCK_LEGALHOLD",
        Op::GetObjectTorrent => "TORRENT",
        other => match other.resource() {
            Resource::Service => "SERVICE",
            Resource::Bucket => "BUCKET",
            Resource::Object => "OBJECT",
        },
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use types::Timestamp;

    use super::{DateSource, KeyFormat, Logging, Source, record_key, record_operation, record_time};
    use crate::Operation;

    #[test]
    fn keys_are_those_of_s3() {
        let source = Source { account: "acc", region: "us-west-1", bucket: "bucket" };
        // 2013-11-01T21:32:16Z and the day before it.
        let (delivered, event) = (Timestamp(1_383_341_536_000), Timestamp(1_383_255_136_000));
        let key = |key_format| {
            let logging = Logging {
                target_bucket: "logs".to_owned(),
                target_prefix: "logs/".to_owned(),
                key_format,
                target_grants: Vec::new(),
            };
            logging.object_key(source, event, delivered, 0xe568_b290_7131_c0c0)
        };
        let simple = "logs/2013-11-01-21-32-16-E568B2907131C0C0";
        assert_eq!(key(None), simple);
        assert_eq!(key(Some(KeyFormat::Simple)), simple);
        assert_eq!(
            key(Some(KeyFormat::Partitioned(DateSource::DeliveryTime))),
            "logs/acc/us-west-1/bucket/2013/11/01/2013-11-01-21-32-16-E568B2907131C0C0"
        );
        assert_eq!(
            key(Some(KeyFormat::Partitioned(DateSource::EventTime))),
            "logs/acc/us-west-1/bucket/2013/10/31/2013-10-31-00-00-00-E568B2907131C0C0"
        );
    }

    #[test]
    fn fields_are_written_as_s3_writes_them() {
        assert_eq!(record_time(Timestamp(1_549_411_238_999)), "[06/Feb/2019:00:00:38 +0000]");
        assert_eq!(record_key("a b/\"c\"\n=é"), "a+b/%22c%22%0A%3D%C3%A9");
        let name = |method, operation| record_operation(&method, operation, true);
        assert_eq!(name(Method::GET, Some(Operation::GetBucketLogging)), "REST.GET.LOGGING_STATUS");
        assert_eq!(name(Method::PUT, Some(Operation::PutObject)), "REST.PUT.OBJECT");
        assert_eq!(name(Method::PUT, Some(Operation::CopyObject)), "REST.COPY.OBJECT");
        assert_eq!(name(Method::PUT, Some(Operation::UploadPartCopy)), "REST.COPY.PART");
        assert_eq!(name(Method::GET, Some(Operation::ListObjectsV2)), "REST.GET.BUCKET");
        assert_eq!(name(Method::POST, Some(Operation::DeleteObjects)), "REST.POST.MULTI_OBJECT_DELETE");
        assert_eq!(name(Method::POST, Some(Operation::RestoreObject)), "REST.POST.RESTORE");
        assert_eq!(name(Method::PATCH, None), "REST.PATCH.OBJECT");
        assert_eq!(record_operation(&Method::OPTIONS, None, false), "REST.OPTIONS.PREFLIGHT");
    }
}
