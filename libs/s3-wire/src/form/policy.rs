//! The policy of a form: until when, and with which fields, whoever signed it lets others upload.
//!
//! Source: S3 API Reference, "Creating a POST Policy".

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use types::Timestamp;

use super::Fields;
use crate::{
    date::parse_iso_date,
    error::{ErrorCode, S3Error},
};

/// Fields that no condition has to speak of. Those of the older signature stand beside the policy by nature.
const FREE_FIELDS: &[&str] = &["awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"];

/// The beginning of the names of fields that no condition has to speak of.
const FREE_PREFIX: &str = "x-ignore-";

/// A policy that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
    length: LengthRange,
}

/// How many bytes the file may have, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthRange {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// What a field's value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    kind: Kind,
    /// The field's name in lower case.
    field: String,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Equal,
    StartsWith,
    /// No form meets it; what it says is the value. To Amazon S3 it is a condition all the same: localstack/localstack, the answers
    /// recorded for `test_post_object_policy_conditions_validation_eq` and `..._size`.
    Never,
}

impl Policy {
    /// Reads the field `policy`: JSON in base64. `InvalidPolicyDocument` for anything else, and for conditions that are
    /// not known.
    pub fn parse(encoded: &str) -> Result<Self, S3Error> {
        let text = STANDARD.decode(encoded.trim()).map_err(|_| invalid("it is not valid base64."))?;
        let policy: Map<String, Value> =
            serde_json::from_slice(&without_escaped_dollars(&text)).map_err(|_| invalid("Invalid JSON."))?;
        let expiration = match policy.get("expiration") {
            None => return Err(invalid("Policy missing expiration.")),
            Some(Value::String(text)) => parse_iso_date(text)
                .ok_or_else(|| invalid(&format!("Invalid 'expiration' value: '{text}'")))?,
            Some(_) => return Err(invalid("Invalid 'expiration' value.")),
        };
        let conditions = match policy.get("conditions") {
            None => return Err(invalid("Policy missing conditions.")),
            Some(Value::Array(conditions)) => conditions,
            Some(_) => return Err(invalid("Invalid 'conditions' value: must be a List.")),
        };
        let mut read = Self { expiration, conditions: Vec::new(), length: LengthRange::ANY };
        for condition in conditions {
            read.add(condition)?;
        }
        Ok(read)
    }

    fn add(&mut self, condition: &Value) -> Result<(), S3Error> {
        match condition {
            Value::Object(pair) => match pair.iter().next() {
                Some((field, Value::String(value))) if pair.len() == 1 => {
                    self.conditions.push(Condition {
                        kind: Kind::Equal,
                        field: field.to_ascii_lowercase(),
                        value: value.clone(),
                    });
                }
                Some((_, value)) if pair.len() == 1 => {
                    return Err(invalid(&format!(
                        "Invalid Simple-Condition: value must be a string, not {value}."
                    )));
                }
                _ => {
                    return Err(invalid(
                        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                    ));
                }
            },
            Value::Array(parts) => self.add_parts(condition, parts)?,
            other => return Err(invalid(&format!("Invalid Condition: {other}."))),
        }
        Ok(())
    }

    fn add_parts(&mut self, condition: &Value, parts: &[Value]) -> Result<(), S3Error> {
        let unknown = || invalid(&format!("Invalid Condition: {condition}."));
        let [Value::String(operator), second, third] = parts else { return Err(unknown()) };
        let operator = operator.to_ascii_lowercase();
        if operator == "content-length-range" {
            let (Some(least), Some(most)) = (bytes(second), bytes(third)) else {
                if [second, third].into_iter().any(is_word) {
                    self.add_unmet(parts);
                    return Ok(());
                }
                return Err(invalid(&format!("Invalid content-length-range: {condition}.")));
            };
            // Each of several has to hold.
            self.length =
                LengthRange { least: self.length.least.max(least), most: self.length.most.min(most) };
            return Ok(());
        }
        let kind = match operator.as_str() {
            "eq" => Kind::Equal,
            "starts-with" => Kind::StartsWith,
            _ => return Err(unknown()),
        };
        let (Value::String(field), Value::String(value)) = (second, third) else { return Err(unknown()) };
        match field.strip_prefix('$') {
            Some(field) => {
                let field = field.to_ascii_lowercase();
                self.conditions.push(Condition { kind, field, value: value.clone() });
            }
            None => self.add_unmet(parts),
        }
        Ok(())
    }

    fn add_unmet(&mut self, parts: &[Value]) {
        let parts: Vec<String> = parts.iter().map(Value::to_string).collect();
        let value = format!("[{}]", parts.join(", "));
        self.conditions.push(Condition { kind: Kind::Never, field: String::new(), value });
    }

    /// Holds a form for `bucket` against the policy: it has not expired, every condition holds, and every field is
    /// spoken of by one. `AccessDenied`, with what does not hold, otherwise. How long the file may be is answered, since
    /// it has yet to come.
    pub fn check(&self, fields: &Fields, bucket: &str, now: Timestamp) -> Result<LengthRange, S3Error> {
        if now.0 >= self.expiration.0 {
            return Err(denied("Policy expired."));
        }
        for condition in &self.conditions {
            let value = match condition.field.as_str() {
                "bucket" => bucket,
                field => fields.get(field).unwrap_or(""),
            };
            if !condition.holds(value) {
                return Err(denied(&format!("Policy Condition failed: {}", condition.shown())));
            }
        }
        let named = fields.iter().map(|(name, _)| name).filter(|name| *name != "bucket");
        for field in named.chain(["bucket"]) {
            let free = FREE_FIELDS.contains(&field) || field.starts_with(FREE_PREFIX);
            if !free && !self.conditions.iter().any(|condition| condition.field == field) {
                return Err(denied(&format!("Extra input fields: {field}")));
            }
        }
        match fields.get("bucket") {
            Some(named) if named != bucket => {
                Err(denied(&format!("Policy Condition failed: [\"eq\", \"$bucket\", \"{named}\"]")))
            }
            _ => Ok(self.length),
        }
    }
}

impl Condition {
    fn holds(&self, value: &str) -> bool {
        match self.kind {
            Kind::Equal => value == self.value,
            Kind::Never => false,
            // A list of types: each of them.
            Kind::StartsWith if self.field == "content-type" => {
                value.split(',').all(|each| each.trim().starts_with(&self.value))
            }
            Kind::StartsWith => value.starts_with(&self.value),
        }
    }

    fn shown(&self) -> String {
        let operator = match self.kind {
            Kind::Equal => "eq",
            Kind::StartsWith => "starts-with",
            Kind::Never => return self.value.clone(),
        };
        format!("[\"{operator}\", \"${}\", \"{}\"]", self.field, self.value)
    }
}

impl LengthRange {
    /// Any length.
    pub const ANY: Self = Self { least: 0, most: u64::MAX };
}

/// A policy may write `\$` for `$`, which JSON may not. Source: API Reference, "Creating a POST Policy", "Character
/// Escaping".
fn without_escaped_dollars(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'$') => out.push(b'$'),
            escaped => out.extend([byte].into_iter().chain(escaped)),
        }
    }
    out
}

/// A number of bytes, as a number or, as some clients write it, as text.
fn bytes(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether it is text that is no number at all.
fn is_word(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<f64>().is_err())
}

fn invalid(problem: &str) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidPolicyDocument, format!("Invalid Policy: {problem}"))
}

fn denied(problem: &str) -> S3Error {
    S3Error::with_message(ErrorCode::AccessDenied, format!("Invalid according to Policy: {problem}"))
}
