//! What a request says of server-side encryption. Source: API Reference, "PutObject", "GetObject", "CopyObject"; Amazon S3
//! User Guide, "Using server-side encryption with customer-provided keys (SSE-C)".

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::text;
use crate::{
    error::{ErrorCode, S3Error},
    operation::Operation,
};

/// The header that asks for encryption, and that answers tell of it by.
pub const SERVER_SIDE_ENCRYPTION: &str = "x-amz-server-side-encryption";

/// The headers of SSE-KMS: which key, the encryption context, whether there is a bucket key.
const KMS_KEY_ID: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const KMS_CONTEXT: &str = "x-amz-server-side-encryption-context";
const KMS_BUCKET_KEY: &str = "x-amz-server-side-encryption-bucket-key-enabled";

/// Longest encryption context in bytes. Source: AWS KMS Developer Guide, "Encryption context", has 8192 characters, and S3 bounds all
/// headers together by as many.
const CONTEXT_MAX: usize = 8192;

/// The pair that S3 adds itself.
const CONTEXT_RESERVED: &str = "aws:s3:arn";

/// The headers of a client's own key: algorithm, key, MD5 of the key.
const CUSTOMER: [&str; 3] = [
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-server-side-encryption-customer-key-md5",
];

/// The same for the source of a copy.
const COPY_SOURCE: [&str; 3] = [
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key-md5",
];

/// By whose keys objects are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSideEncryption {
    /// `AES256`: by keys that the store has.
    SseS3,
    /// `aws:kms`: by named keys of a key management service.
    SseKms,
}

impl ServerSideEncryption {
    /// As headers and documents name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SseS3 => "AES256",
            Self::SseKms => "aws:kms",
        }
    }
}

/// What a request says of SSE-KMS beside asking for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KmsParameters {
    /// The key, as the client names it.
    pub key: Option<String>,
    /// The encryption context: a JSON object of texts, without white space and in the order of its keys; empty for none.
    pub context: String,
    /// Whether there is to be a bucket key, if anything is said of it.
    pub bucket_key: Option<bool>,
}

/// A key that a client brings with its request. It cannot be printed, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerKey {
    /// The key.
    pub key: Zeroizing<[u8; 32]>,
    /// Its MD5 as the client states it, which the caller compares.
    pub md5: [u8; 16],
}

/// What the request asks new objects to be encrypted by. `InvalidArgument` for what S3 does not know, `NotImplemented` for
/// encryption in two layers.
pub fn server_side_encryption(headers: &HeaderMap) -> Result<Option<ServerSideEncryption>, S3Error> {
    match text(headers, SERVER_SIDE_ENCRYPTION)? {
        None => Ok(None),
        Some("AES256") => Ok(Some(ServerSideEncryption::SseS3)),
        Some("aws:kms") => Ok(Some(ServerSideEncryption::SseKms)),
        Some("aws:kms:dsse") => Err(S3Error::header_not_implemented(SERVER_SIDE_ENCRYPTION)),
        Some(other) => Err(S3Error::invalid_argument(
            "The encryption method specified is not supported",
            SERVER_SIDE_ENCRYPTION,
            other,
        )),
    }
}

/// What the request says of SSE-KMS. `InvalidArgument` for a key or a context without `aws:kms`, and for what is no context or no
/// boolean. Source: API Reference, "PutObject".
pub fn kms_parameters(headers: &HeaderMap) -> Result<KmsParameters, S3Error> {
    let asked = text(headers, SERVER_SIDE_ENCRYPTION)?;
    let (key, context) = (text(headers, KMS_KEY_ID)?, text(headers, KMS_CONTEXT)?);
    if (key.is_some() || context.is_some()) && asked != Some(ServerSideEncryption::SseKms.name()) {
        return Err(S3Error::invalid_argument(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            SERVER_SIDE_ENCRYPTION,
            asked.unwrap_or("null"),
        ));
    }
    let bucket_key = match text(headers, KMS_BUCKET_KEY)? {
        None => None,
        Some(value) if value.eq_ignore_ascii_case("true") => Some(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Some(false),
        Some(other) => {
            let message = "The value has to be true or false.";
            return Err(S3Error::invalid_argument(message, KMS_BUCKET_KEY, other));
        }
    };
    let context = context.map(encryption_context).transpose()?.unwrap_or_default();
    Ok(KmsParameters { key: key.map(str::to_owned), context, bucket_key })
}

/// A context in its one form.
fn encryption_context(text: &str) -> Result<String, S3Error> {
    let invalid = |message: &'static str| S3Error::invalid_argument(message, KMS_CONTEXT, text);
    let malformed =
        || invalid("The encryption context has to be the base64 of a JSON object whose values are strings.");
    let json = STANDARD.decode(text).map_err(|_| malformed())?;
    if json.len() > CONTEXT_MAX {
        return Err(invalid("The encryption context is too long."));
    }
    let pairs: BTreeMap<String, String> = serde_json::from_slice(&json).map_err(|_| malformed())?;
    if pairs.contains_key(CONTEXT_RESERVED) {
        return Err(invalid("The encryption context cannot have the key aws:s3:arn."));
    }
    if pairs.is_empty() { Ok(String::new()) } else { serde_json::to_string(&pairs).map_err(|_| malformed()) }
}

/// The key that the request brings. Errors: as of S3 for one that is not whole.
pub fn customer_key(headers: &HeaderMap) -> Result<Option<CustomerKey>, S3Error> {
    of_names(headers, CUSTOMER)
}

/// The key that the request brings for the source of its copy.
pub fn copy_source_customer_key(headers: &HeaderMap) -> Result<Option<CustomerKey>, S3Error> {
    of_names(headers, COPY_SOURCE)
}

fn of_names(headers: &HeaderMap, names: [&'static str; 3]) -> Result<Option<CustomerKey>, S3Error> {
    // As bytes: what is no text might be a key that was sent as it is, and an error about text would show it.
    let [algorithm, key, md5] = names.map(|name| headers.get(name).map(HeaderValue::as_bytes));
    if algorithm.is_none() && key.is_none() && md5.is_none() {
        return Ok(None);
    }
    let algorithm = algorithm.map(|algorithm| std::str::from_utf8(algorithm).unwrap_or("null"));
    // Never the key itself: an error is shown and logged.
    let invalid = |at: usize, message: &'static str| {
        let value = if at == 0 { algorithm.unwrap_or("") } else { "null" };
        S3Error::invalid_argument(message, names[at], value)
    };
    match algorithm {
        Some("AES256") => {}
        None => {
            return Err(invalid(
                0,
                "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
            ));
        }
        Some(other) => {
            return Err(S3Error::with_message(
                ErrorCode::InvalidEncryptionAlgorithmError,
                "The Encryption request you specified is not valid. Supported value: AES256.",
            )
            .field("ArgumentName", names[0])
            .field("ArgumentValue", other));
        }
    }
    let key = key.ok_or_else(|| {
        invalid(
            1,
            "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.",
        )
    })?;
    let md5 = md5.ok_or_else(|| {
        invalid(
            2,
            "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated MD5 of the secret key.",
        )
    })?;
    let key = STANDARD.decode(key).ok().map(Zeroizing::new);
    let key = key.and_then(|key| <[u8; 32]>::try_from(&key[..]).ok()).map(Zeroizing::new);
    let key = key.ok_or_else(|| invalid(1, "The secret key was invalid for the specified algorithm."))?;
    let md5 = STANDARD.decode(md5).ok().and_then(|md5| <[u8; 16]>::try_from(md5).ok());
    let md5 = md5.ok_or_else(|| {
        invalid(2, "The calculated MD5 hash of the key did not match the hash that was provided.")
    })?;
    Ok(Some(CustomerKey { key, md5 }))
}

/// Refuses to be told how objects are encrypted where that has no meaning: `InvalidArgument`; and by a header that is not known:
/// `NotImplemented`. A header that was passed over would leave a client to believe that it has an effect. Source: API Reference, the
/// headers of each operation.
pub fn refuse_misplaced_encryption(operation: Operation, headers: &HeaderMap) -> Result<(), S3Error> {
    for name in headers.keys().map(HeaderName::as_str) {
        let is_of_source = name.starts_with("x-amz-copy-source-server-side-encryption");
        if !name.starts_with(SERVER_SIDE_ENCRYPTION) && !is_of_source {
            continue;
        }
        let takes_it = if name == SERVER_SIDE_ENCRYPTION {
            takes_scheme(operation)
        } else if CUSTOMER.contains(&name) {
            takes_customer_key(operation)
        } else if COPY_SOURCE.contains(&name) {
            matches!(operation, Operation::CopyObject | Operation::UploadPartCopy)
        } else if [KMS_KEY_ID, KMS_CONTEXT, KMS_BUCKET_KEY].contains(&name) {
            let asks_for_nothing = name == KMS_BUCKET_KEY
                && headers.get_all(name).iter().all(|value| value.as_bytes().eq_ignore_ascii_case(b"false"));
            takes_kms(operation) || asks_for_nothing
        } else {
            return Err(S3Error::header_not_implemented(name));
        };
        if !takes_it {
            // A key is shown to nobody.
            let value = if name == SERVER_SIDE_ENCRYPTION { text(headers, name)? } else { None };
            let message = format!("{name} header is not supported for this operation.");
            return Err(S3Error::invalid_argument(message, name, value.unwrap_or("null")));
        }
    }
    Ok(())
}

/// Some clients name the scheme again when they complete an upload. It has to be that of the upload.
fn takes_scheme(operation: Operation) -> bool {
    use Operation::{CompleteMultipartUpload, CopyObject, CreateMultipartUpload, PutObject};
    matches!(operation, PutObject | CopyObject | CreateMultipartUpload | CompleteMultipartUpload)
}

fn takes_kms(operation: Operation) -> bool {
    use Operation::{CopyObject, CreateMultipartUpload, PutObject};
    matches!(operation, PutObject | CopyObject | CreateMultipartUpload)
}

fn takes_customer_key(operation: Operation) -> bool {
    use Operation::{
        CompleteMultipartUpload, CopyObject, CreateMultipartUpload, GetObject, GetObjectAttributes,
        HeadObject, ListParts, PutObject, UploadPart, UploadPartCopy,
    };
    matches!(
        operation,
        PutObject
            | CopyObject
            | CreateMultipartUpload
            | UploadPart
            | UploadPartCopy
            | CompleteMultipartUpload
            | ListParts
            | GetObject
            | HeadObject
            | GetObjectAttributes
    )
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{
        COPY_SOURCE, CUSTOMER, KMS_BUCKET_KEY, KMS_CONTEXT, KMS_KEY_ID, KmsParameters,
        SERVER_SIDE_ENCRYPTION, ServerSideEncryption, copy_source_customer_key, customer_key, kms_parameters,
        refuse_misplaced_encryption, server_side_encryption,
    };
    use crate::{error::ErrorCode, operation::Operation};

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const MD5: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn encryption_is_asked_for_by_name() {
        assert_eq!(server_side_encryption(&HeaderMap::new()), Ok(None));
        for (value, expected) in [
            ("AES256", Ok(Some(ServerSideEncryption::SseS3))),
            ("aws:kms", Ok(Some(ServerSideEncryption::SseKms))),
            ("aws:kms:dsse", Err(ErrorCode::NotImplemented)),
            ("aes256", Err(ErrorCode::InvalidArgument)),
            ("", Err(ErrorCode::InvalidArgument)),
        ] {
            let asked = headers(&[(SERVER_SIDE_ENCRYPTION, value)]);
            assert_eq!(server_side_encryption(&asked).map_err(|error| error.code), expected, "{value}");
            assert!(refuse_misplaced_encryption(Operation::PutObject, &asked).is_ok());
            let refused = refuse_misplaced_encryption(Operation::GetObject, &asked).expect_err("misplaced");
            assert_eq!(refused.code, ErrorCode::InvalidArgument);
        }
    }

    /// What has no meaning is refused by name, and no key is shown by it.
    #[test]
    fn headers_of_encryption_have_their_places() {
        use Operation::{
            CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject, GetObject,
            GetObjectAttributes, HeadObject, ListObjectsV2, ListParts, PostObject, PutObject, RenameObject,
            UploadPart, UploadPartCopy,
        };
        let writes = [PutObject, CopyObject, CreateMultipartUpload, CompleteMultipartUpload];
        let parts = [UploadPart, UploadPartCopy, ListParts];
        let reads = [GetObject, HeadObject, GetObjectAttributes];
        let others = [DeleteObject, ListObjectsV2, RenameObject, PostObject];
        let copies = [CopyObject, UploadPartCopy];
        for operation in writes.into_iter().chain(parts).chain(reads).chain(others) {
            let code = |name, value| {
                let refused = refuse_misplaced_encryption(operation, &headers(&[(name, value)])).err()?;
                let text = format!("{refused:?}");
                assert!(text.contains(name) && !text.contains(KEY), "{text}");
                Some(refused.code)
            };
            let expected = |takes_it: bool| (!takes_it).then_some(ErrorCode::InvalidArgument);
            assert_eq!(code(SERVER_SIDE_ENCRYPTION, "AES256"), expected(writes.contains(&operation)));
            for name in CUSTOMER {
                assert_eq!(code(name, KEY), expected(!others.contains(&operation)), "{operation:?} {name}");
            }
            for name in COPY_SOURCE {
                assert_eq!(code(name, KEY), expected(copies.contains(&operation)), "{operation:?} {name}");
            }
            let creates = [PutObject, CopyObject, CreateMultipartUpload].contains(&operation);
            for (name, value) in [(KMS_KEY_ID, "key"), (KMS_CONTEXT, "e30="), (KMS_BUCKET_KEY, "true")] {
                assert_eq!(code(name, value), expected(creates), "{operation:?} {name}");
            }
            for name in [
                "x-amz-server-side-encryption-foo",
                "x-amz-server-side-encryptionn",
                "x-amz-copy-source-server-side-encryption",
            ] {
                assert_eq!(code(name, "AES256"), Some(ErrorCode::NotImplemented), "{operation:?} {name}");
            }
            assert_eq!(code("x-amz-server-side-encryption-bucket-key-enabled", "false"), None);
        }
    }

    #[test]
    fn what_is_said_of_a_kms_is_read_or_refused() {
        let kms = (SERVER_SIDE_ENCRYPTION, "aws:kms");
        let none = KmsParameters::default();
        let with_context = |context: &str| KmsParameters { context: context.to_owned(), ..none.clone() };
        // {"b":"2","a":"1"}, {"a":1}, {"aws:s3:arn":"x"}, [], {}
        for (pairs, expected) in [
            (&[][..], Some(none.clone())),
            (&[kms], Some(none.clone())),
            (
                &[kms, (KMS_KEY_ID, "key")],
                Some(KmsParameters { key: Some("key".to_owned()), ..none.clone() }),
            ),
            (
                &[kms, (KMS_CONTEXT, "eyJiIjoiMiIsICJhIjoiMSJ9")],
                Some(with_context("{\"a\":\"1\",\"b\":\"2\"}")),
            ),
            (&[kms, (KMS_CONTEXT, "e30=")], Some(none.clone())),
            (&[kms, (KMS_CONTEXT, "eyJhIjoxfQ==")], None),
            (&[kms, (KMS_CONTEXT, "eyJhd3M6czM6YXJuIjoieCJ9")], None),
            (&[kms, (KMS_CONTEXT, "W10=")], None),
            (&[kms, (KMS_CONTEXT, "{}")], None),
            (&[kms, (KMS_CONTEXT, "")], None),
            (&[(KMS_CONTEXT, "e30=")], None),
            (&[(KMS_KEY_ID, "key")], None),
            (&[(SERVER_SIDE_ENCRYPTION, "AES256"), (KMS_KEY_ID, "key")], None),
            (&[(KMS_BUCKET_KEY, "True")], Some(KmsParameters { bucket_key: Some(true), ..none.clone() })),
            (
                &[kms, (KMS_BUCKET_KEY, "false")],
                Some(KmsParameters { bucket_key: Some(false), ..none.clone() }),
            ),
            (&[kms, (KMS_BUCKET_KEY, "yes")], None),
        ] {
            let read = kms_parameters(&headers(pairs)).map_err(|error| error.code);
            assert_eq!(read, expected.ok_or(ErrorCode::InvalidArgument), "{pairs:?}");
        }
        let long = STANDARD.encode(format!("{{\"a\":\"{}\"}}", "x".repeat(8192)));
        let mut all = headers(&[kms]);
        all.insert(KMS_CONTEXT, HeaderValue::from_str(&long).expect("a value"));
        assert!(kms_parameters(&all).is_err());
    }

    /// A key that is sent as its bytes and not in base64 is not shown either.
    #[test]
    fn a_key_that_is_no_text_is_not_shown() {
        let raw = HeaderValue::from_bytes(b"\xc3(sesame").expect("a value");
        for raw_name in CUSTOMER {
            let mut all = headers(&[(CUSTOMER[0], "AES256"), (CUSTOMER[1], KEY), (CUSTOMER[2], MD5)]);
            all.insert(HeaderName::from_static(raw_name), raw.clone());
            let Err(refused) = customer_key(&all) else { panic!("{raw_name}") };
            let expected = match raw_name == CUSTOMER[0] {
                true => ErrorCode::InvalidEncryptionAlgorithmError,
                false => ErrorCode::InvalidArgument,
            };
            assert_eq!(refused.code, expected);
            assert!(!format!("{refused:?}").contains("sesame"), "{refused:?}");
        }
    }

    #[test]
    fn a_key_of_the_clients_is_whole_or_refused() {
        let of_request = |pairs: &[_]| customer_key(&headers(pairs));
        for (names, other) in [(CUSTOMER, COPY_SOURCE), (COPY_SOURCE, CUSTOMER)] {
            let read = |headers: &HeaderMap| {
                if names == CUSTOMER { customer_key(headers) } else { copy_source_customer_key(headers) }
            };
            let all = headers(&[(names[0], "AES256"), (names[1], KEY), (names[2], MD5)]);
            let key = read(&all).expect("a key").expect("a key");
            assert_eq!((*key.key, key.md5), ([0; 32], [0; 16]));
            let elsewhere = headers(&[(other[0], "AES256"), (other[1], KEY), (other[2], MD5)]);
            assert!(read(&elsewhere).expect("none").is_none());
        }
        let [algorithm, key, md5] = CUSTOMER;
        let invalid = ErrorCode::InvalidArgument;
        for (pairs, expected) in [
            (&[(algorithm, "AES256"), (key, KEY)][..], invalid),
            (&[(algorithm, "AES256"), (md5, MD5)], invalid),
            (&[(key, KEY), (md5, MD5)], invalid),
            (&[(md5, MD5)], invalid),
            (&[(algorithm, "AES256"), (key, MD5), (md5, MD5)], invalid),
            (&[(algorithm, "AES256"), (key, "!"), (md5, MD5)], invalid),
            (&[(algorithm, "AES256"), (key, KEY), (md5, KEY)], invalid),
            (&[(algorithm, "AES128"), (key, KEY), (md5, MD5)], ErrorCode::InvalidEncryptionAlgorithmError),
        ] {
            let Err(refused) = of_request(pairs) else { panic!("{pairs:?}") };
            assert_eq!(refused.code, expected, "{pairs:?}");
            assert!(!format!("{refused:?}").contains(KEY), "a key is shown to nobody");
        }
    }
}
