//! Documents that an operation understands, which together have all of its elements but those that are refused.

use s3_wire::Operation;
use types::ChecksumAlgorithm;

use super::Place;
use crate::key_management::arn;

const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

/// The documents, each with the code of the error that it is answered with, empty for none. The first is carried out, if there is one.
pub(super) fn of(operation: Operation, place: &Place) -> Vec<(&'static str, String)> {
    let texts: &[(&str, &str)] = match operation {
        Operation::CompleteMultipartUpload => return parts(place),
        Operation::PutBucketAcl | Operation::PutObjectAcl => return lists(place),
        Operation::PutBucketInventoryConfiguration => return vec![("", inventory(place))],
        Operation::PutBucketLogging => return logging(place),
        Operation::UpdateObjectEncryption => return vec![("InvalidRequest", encryption())],
        Operation::DeleteObjects => &[(
            "",
            "<Delete><Quiet>false</Quiet><Object><Key>missing</Key><VersionId>null</VersionId></Object><Object><Key>key</Key>\
             <ETag>x</ETag><LastModifiedTime>2019-01-01T00:00:00Z</LastModifiedTime><Size>1</Size></Object></Delete>",
        )],
        Operation::CreateBucket => &[(
            "",
            "<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint><Tags><Tag><Key>a</Key><Value>b</Value></Tag>\
             </Tags></CreateBucketConfiguration>",
        )],
        Operation::PutBucketAccelerateConfiguration => {
            &[("", "<AccelerateConfiguration><Status>Suspended</Status></AccelerateConfiguration>")]
        }
        Operation::PutBucketCors => &[(
            "",
            "<CORSConfiguration><CORSRule><ID>app</ID><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
             <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule></CORSConfiguration>",
        )],
        Operation::PutBucketEncryption => &[(
            "",
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>\
             <KMSMasterKeyID>first</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
        )],
        Operation::PutBucketLifecycleConfiguration => LIFECYCLE,
        Operation::PutBucketNotificationConfiguration => &[("", "<NotificationConfiguration/>")],
        Operation::PutBucketOwnershipControls => &[(
            "",
            "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
        )],
        Operation::PutBucketRequestPayment => {
            &[("", "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>")]
        }
        Operation::PutBucketTagging | Operation::PutObjectTagging => {
            &[("", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")]
        }
        Operation::PutBucketVersioning => &[(
            "",
            "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>",
        )],
        Operation::PutBucketWebsite => WEBSITE,
        Operation::PutObjectLegalHold => &[("", "<LegalHold><Status>ON</Status></LegalHold>")],
        Operation::PutObjectLockConfiguration => LOCK,
        Operation::PutObjectRetention => &[(
            "",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2050-01-01T00:00:00Z</RetainUntilDate></Retention>",
        )],
        Operation::PutPublicAccessBlock => &[(
            "",
            "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
             <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>",
        )],
        Operation::RestoreObject => &[
            (
                "InvalidObjectState",
                "<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters><Description>why</Description></RestoreRequest>",
            ),
            ("InvalidObjectState", "<RestoreRequest><Days>1</Days><Tier>Bulk</Tier></RestoreRequest>"),
        ],
        Operation::PutBucketPolicy => {
            let statement = format!(
                r#"{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{}/*"}}"#,
                place.bucket.name
            );
            return vec![("", format!(r#"{{"Version": "2012-10-17", "Statement": [{statement}]}}"#))];
        }
        _ => &[],
    };
    texts.iter().map(|(code, text)| (*code, (*text).to_owned())).collect()
}

const LIFECYCLE: &[(&str, &str)] = &[
    (
        "",
        "<LifecycleConfiguration><Rule><ID>one</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag>\
         <ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter><Status>Enabled</Status>\
         <Expiration><Days>9</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays>\
         <NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>",
    ),
    (
        "",
        "<LifecycleConfiguration><Rule><ID>two</ID><Prefix>b</Prefix><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>",
    ),
    (
        "",
        "<LifecycleConfiguration><Rule><ID>one</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status>\
         <Expiration><Date>2050-01-01T00:00:00Z</Date></Expiration></Rule><Rule><ID>two</ID><Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>\
         <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>three</ID><Filter><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan></Filter>\
         <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule><Rule><ID>four</ID><Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter>\
         <Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
    ),
    // A class that is not there.
    (
        "InvalidStorageClass",
        "<LifecycleConfiguration><Rule><ID>one</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>\
         <NoncurrentVersionTransition><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1</NewerNoncurrentVersions>\
         <StorageClass>GLACIER</StorageClass></NoncurrentVersionTransition></Rule></LifecycleConfiguration>",
    ),
    (
        "InvalidStorageClass",
        "<LifecycleConfiguration><Rule><ID>one</ID><Filter><Prefix>a</Prefix></Filter><Status>Enabled</Status><Transition><Date>2050-01-01T00:00:00Z</Date>\
         <StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>",
    ),
];

const WEBSITE: &[(&str, &str)] = &[
    (
        "",
        "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument><Key>404.html</Key></ErrorDocument>\
         <RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a</KeyPrefixEquals><HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>\
         </Condition><Redirect><Protocol>https</Protocol><HostName>example.com</HostName><HttpRedirectCode>307</HttpRedirectCode>\
         <ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect></RoutingRule><RoutingRule><Redirect><ReplaceKeyWith>c</ReplaceKeyWith></Redirect>\
         </RoutingRule></RoutingRules></WebsiteConfiguration>",
    ),
    (
        "",
        "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>example.com</HostName><Protocol>https</Protocol></RedirectAllRequestsTo></WebsiteConfiguration>",
    ),
];

const LOCK: &[(&str, &str)] = &[
    (
        "",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
    (
        "",
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>",
    ),
];

/// The part that was uploaded, and with each checksum that is not its own.
fn parts(place: &Place) -> Vec<(&'static str, String)> {
    let part = |more: &str| {
        let etag = place.etag.replace('"', "&quot;");
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag>{more}</Part></CompleteMultipartUpload>"
        )
    };
    let wrong = ChecksumAlgorithm::ALL.map(|algorithm| {
        let (name, value) = (algorithm.name(), harness::checksum_of(algorithm, b"other"));
        ("InvalidPart", part(&format!("<Checksum{name}>{value}</Checksum{name}>")))
    });
    std::iter::once(("", part(""))).chain(wrong).collect()
}

fn lists(place: &Place) -> Vec<(&'static str, String)> {
    let acl = place.bucket.request(http::Method::GET).raw_query("acl").ok().xml();
    let owner = format!("<ID>{}</ID><DisplayName>me</DisplayName>", acl.get("Owner/ID"));
    let list = |kind: &str, grantee: &str| {
        format!(
            "<AccessControlPolicy><Owner>{owner}</Owner><AccessControlList><Grant><Grantee {XSI} xsi:type=\"{kind}\">{grantee}</Grantee>\
             <Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
        )
    };
    let everybody = "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>";
    vec![
        ("", list("CanonicalUser", &owner)),
        ("", list("Group", everybody)),
        (
            "UnresolvableGrantByEmailAddress",
            list("AmazonCustomerByEmail", "<EmailAddress>a@example.com</EmailAddress>"),
        ),
    ]
}

fn inventory(place: &Place) -> String {
    format!(
        "<InventoryConfiguration><Destination><S3BucketDestination><AccountId>750814517293</AccountId><Bucket>arn:aws:s3:::{}</Bucket>\
         <Format>CSV</Format><Prefix>lists</Prefix></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Filter><Prefix>a</Prefix></Filter>\
         <Id>1</Id><IncludedObjectVersions>Current</IncludedObjectVersions><OptionalFields><Field>Size</Field></OptionalFields>\
         <Schedule><Frequency>Daily</Frequency></Schedule></InventoryConfiguration>",
        place.bucket.name
    )
}

fn logging(place: &Place) -> Vec<(&'static str, String)> {
    let acl = place.bucket.request(http::Method::GET).raw_query("acl").ok().xml();
    let enabled = |format: &str, kind: &str, grantee: &str| {
        format!(
            "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{}</TargetBucket><TargetPrefix>logs</TargetPrefix><TargetGrants><Grant>\
             <Grantee {XSI} xsi:type=\"{kind}\">{grantee}</Grantee><Permission>READ</Permission></Grant></TargetGrants><TargetObjectKeyFormat>{format}\
             </TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>",
            place.bucket.name
        )
    };
    let dates = "<PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix>";
    let owner = format!("<ID>{}</ID><DisplayName>me</DisplayName>", acl.get("Owner/ID"));
    let everybody = "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>";
    let nobody = "<EmailAddress>a@example.com</EmailAddress>";
    vec![
        ("", enabled("<SimplePrefix/>", "CanonicalUser", &owner)),
        ("", enabled(dates, "Group", everybody)),
        ("UnresolvableGrantByEmailAddress", enabled(dates, "AmazonCustomerByEmail", nobody)),
    ]
}

fn encryption() -> String {
    let key = arn("first");
    format!(
        "<ObjectEncryption><SSE-KMS><KMSKeyArn>{key}</KMSKeyArn><BucketKeyEnabled>true</BucketKeyEnabled></SSE-KMS></ObjectEncryption>"
    )
}
