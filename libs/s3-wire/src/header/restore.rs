//! What is said of restores in headers.

use http::HeaderMap;
use types::RestoreState;

use crate::{date::http_date, error::S3Error};

const OPTIONAL_ATTRIBUTES: &str = "x-amz-optional-object-attributes";

/// The value of `x-amz-restore`, of a restore that is not over. Source: API Reference, "HeadObject".
pub fn restore(state: RestoreState) -> Option<String> {
    match state {
        RestoreState::Ongoing => Some("ongoing-request=\"true\"".to_owned()),
        RestoreState::Restored(until) => {
            Some(format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(until)))
        }
        RestoreState::Over => None,
    }
}

/// Whether a listing is asked to show restores: `x-amz-optional-object-attributes` with `RestoreStatus`, the only one there is.
/// Where it is empty nothing is asked for. `InvalidArgument` for any other. Source: API Reference, "ListObjectsV2".
pub fn wants_restore_status(headers: &HeaderMap) -> Result<bool, S3Error> {
    let mut wanted = false;
    for value in headers.get_all(OPTIONAL_ATTRIBUTES) {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for name in names.filter(|name| !name.is_empty()) {
            if name != b"RestoreStatus" {
                let name = String::from_utf8_lossy(name);
                let message = "Invalid attribute name specified";
                return Err(S3Error::invalid_argument(message, OPTIONAL_ATTRIBUTES, &name));
            }
            wanted = true;
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use types::{RestoreState, Timestamp};

    use super::{OPTIONAL_ATTRIBUTES, restore, wants_restore_status};
    use crate::error::ErrorCode;

    #[test]
    fn a_restore_is_shown_until_it_is_over() {
        assert_eq!(restore(RestoreState::Ongoing).as_deref(), Some("ongoing-request=\"true\""));
        assert_eq!(
            restore(RestoreState::Restored(Timestamp(1_356_048_000_000))).as_deref(),
            Some("ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"")
        );
        assert_eq!(restore(RestoreState::Over), None);
    }

    #[test]
    fn restores_are_the_only_optional_attributes() {
        let wants = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(OPTIONAL_ATTRIBUTES, HeaderValue::from_static(value));
            }
            wants_restore_status(&headers).map_err(|error| error.code)
        };
        for values in [&[][..], &[""], &[" ", ","]] {
            assert_eq!(wants(values), Ok(false), "{values:?}");
        }
        for values in [&["RestoreStatus"][..], &["RestoreStatus, RestoreStatus"], &["RestoreStatus"; 2]] {
            assert_eq!(wants(values), Ok(true), "{values:?}");
        }
        for values in [&["restorestatus"][..], &["RestoreStatus,Owner"], &["RestoreStatus", "Owner"]] {
            assert_eq!(wants(values), Err(ErrorCode::InvalidArgument), "{values:?}");
        }
    }
}
