//! The body of RestoreObject.

use super::read::{XmlReader, set};
use crate::error::{ErrorCode, S3Error};

/// Largest body of RestoreObject in bytes.
pub const RESTORE_BODY_MAX: usize = 64 << 10;

/// What a RestoreObject asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreRequest {
    /// For how many days the version is to be readable; at least 1.
    pub days: u32,
    /// How soon it is to be.
    pub tier: RetrievalTier,
}

/// How soon a restore is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetrievalTier {
    /// Within minutes.
    Expedited,
    /// Within hours.
    #[default]
    Standard,
    /// Within half a day or more.
    Bulk,
}

impl RetrievalTier {
    /// Its name in S3's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Expedited, Self::Standard, Self::Bulk].into_iter().find(|tier| tier.as_str() == name)
    }
}

/// Reads a body of RestoreObject. A description is let through: S3 shows it nowhere.
///
/// Errors: `MalformedXML`, also without `Days`; `InvalidArgument` for days that are no positive number; `NotImplemented` for what
/// asks for a selection of the object rather than for the object.
/// Source: API Reference, "RestoreObject".
pub fn parse_restore(body: &[u8]) -> Result<RestoreRequest, S3Error> {
    let mut reader = XmlReader::open(body, RESTORE_BODY_MAX, "RestoreRequest")?;
    let (mut days, mut tier, mut of_job, mut description) = (None, None, None, None);
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Days" => set(&mut days, read_days(&mut reader)?)?,
            "Tier" => set(&mut tier, read_tier(&mut reader)?)?,
            "GlacierJobParameters" => set(&mut of_job, read_job(&mut reader)?)?,
            "Description" => set(&mut description, reader.text()?)?,
            "Type" | "SelectParameters" | "OutputLocation" => {
                return Err(S3Error::field_not_implemented(&name));
            }
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    reader.finish()?;
    let tier = match (tier, of_job) {
        (Some(tier), Some(of_job)) if tier != of_job => return Err(S3Error::malformed_xml()),
        (tier, of_job) => tier.or(of_job).unwrap_or_default(),
    };
    Ok(RestoreRequest { days: days.ok_or_else(S3Error::malformed_xml)?, tier })
}

fn read_days(reader: &mut XmlReader<'_>) -> Result<u32, S3Error> {
    let word = reader.word()?;
    let number = word.parse::<i32>().ok().filter(|_| !word.starts_with('+'));
    let number = number.ok_or_else(S3Error::malformed_xml)?;
    u32::try_from(number).ok().filter(|days| *days > 0).ok_or_else(|| {
        let message = "'Days' for Restore action must be a positive integer";
        S3Error::with_message(ErrorCode::InvalidArgument, message)
    })
}

fn read_tier(reader: &mut XmlReader<'_>) -> Result<RetrievalTier, S3Error> {
    RetrievalTier::from_name(&reader.word()?).ok_or_else(S3Error::malformed_xml)
}

fn read_job(reader: &mut XmlReader<'_>) -> Result<RetrievalTier, S3Error> {
    let mut tier = None;
    while let Some(name) = reader.next_child()? {
        match name.as_str() {
            "Tier" => set(&mut tier, read_tier(reader)?)?,
            _ => return Err(S3Error::malformed_xml()),
        }
    }
    tier.ok_or_else(S3Error::malformed_xml)
}

#[cfg(test)]
mod tests {
    use super::{RESTORE_BODY_MAX, RestoreRequest, RetrievalTier, parse_restore};
    use crate::error::ErrorCode;

    fn body(inside: &str) -> String {
        format!("<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}</RestoreRequest>")
    }

    #[test]
    fn what_is_asked_for_is_read() {
        for (inside, days, tier) in [
            ("<Days>1</Days>", 1, RetrievalTier::Standard),
            ("<Days> 2147483647 </Days><Tier>Bulk</Tier>", 2_147_483_647, RetrievalTier::Bulk),
            (
                "<GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters><Days>7</Days>",
                7,
                RetrievalTier::Expedited,
            ),
            (
                "<Days>7</Days><Tier>Bulk</Tier><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>",
                7,
                RetrievalTier::Bulk,
            ),
            ("<Days>7</Days><Description>for the auditors</Description>", 7, RetrievalTier::Standard),
        ] {
            let read = parse_restore(body(inside).as_bytes());
            assert_eq!(read.unwrap(), RestoreRequest { days, tier }, "{inside}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use ErrorCode::{InvalidArgument, MalformedXML, NotImplemented};
        for (inside, code) in [
            ("", MalformedXML),
            ("<Days></Days>", MalformedXML),
            ("<Days>one</Days>", MalformedXML),
            ("<Days>+5</Days>", MalformedXML),
            ("<Days>1.5</Days>", MalformedXML),
            ("<Days>2147483648</Days>", MalformedXML),
            ("<Days>0</Days>", InvalidArgument),
            ("<Days>-1</Days>", InvalidArgument),
            ("<Days>1</Days><Days>1</Days>", MalformedXML),
            ("<Days>1</Days><Tier>standard</Tier>", MalformedXML),
            ("<Days>1</Days><Tier/>", MalformedXML),
            ("<Days>1</Days><GlacierJobParameters/>", MalformedXML),
            (
                "<Days>1</Days><Tier>Bulk</Tier><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters>",
                MalformedXML,
            ),
            ("<Days>1</Days><Other/>", MalformedXML),
            ("<Days>1</Days><Type>SELECT</Type>", NotImplemented),
            ("<SelectParameters><Expression/></SelectParameters>", NotImplemented),
            ("<Days>1</Days><OutputLocation><S3/></OutputLocation>", NotImplemented),
        ] {
            assert_eq!(parse_restore(body(inside).as_bytes()).unwrap_err().code, code, "{inside}");
        }
        let long =
            body(&format!("<Days>1</Days><Description>{}</Description>", "x".repeat(RESTORE_BODY_MAX)));
        for bytes in ["", "<Other/>", "<RestoreRequest><Days>1</Days>", long.as_str()] {
            assert!(parse_restore(bytes.as_bytes()).is_err(), "{} bytes", bytes.len());
        }
    }
}
