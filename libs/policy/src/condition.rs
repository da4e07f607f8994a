//! Conditions: operators, what they compare, and what they say of keys that a request lacks.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multi-valued context keys".

use std::{collections::BTreeSet, net::IpAddr};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    Malformed, SeenCondition, date,
    json::Json,
    key::{Context, Key},
    pattern::{Syntax, Text},
};

/// One key, one operator, and the values of which one must hold.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) key: Key,
    pub(crate) operator: Operator,
    operands: Vec<Operand>,
    /// The operator and the values as they are written.
    written: (String, Vec<String>),
}

/// An operator as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Operator {
    comparison: Comparison,
    /// Whether no value may hold.
    pub(crate) is_negated: bool,
    /// Whether it holds for requests that lack the key.
    pub(crate) if_exists: bool,
    /// What it asks of several values.
    pub(crate) quantifier: Option<Quantifier>,
}

/// `ForAnyValue` and `ForAllValues`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    Any,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Text { wildcards: bool, ignores_case: bool },
    Number(Order),
    Date(Order),
    Bool,
    Binary,
    Address,
    Arn,
    IsAbsent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// The operators, and which of them are negated.
const OPERATORS: &[(&str, Comparison, bool)] = {
    use Comparison::{Address, Arn, Binary, Bool, Date, IsAbsent, Number, Text};
    use Order::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    const fn text(wildcards: bool, ignores_case: bool) -> Comparison {
        Text { wildcards, ignores_case }
    }
    &[
        ("StringEquals", text(false, false), false),
        ("StringNotEquals", text(false, false), true),
        ("StringEqualsIgnoreCase", text(false, true), false),
        ("StringNotEqualsIgnoreCase", text(false, true), true),
        ("StringLike", text(true, false), false),
        ("StringNotLike", text(true, false), true),
        ("NumericEquals", Number(Equal), false),
        ("NumericNotEquals", Number(Equal), true),
        ("NumericLessThan", Number(Less), false),
        ("NumericLessThanEquals", Number(LessOrEqual), false),
        ("NumericGreaterThan", Number(Greater), false),
        ("NumericGreaterThanEquals", Number(GreaterOrEqual), false),
        ("DateEquals", Date(Equal), false),
        ("DateNotEquals", Date(Equal), true),
        ("DateLessThan", Date(Less), false),
        ("DateLessThanEquals", Date(LessOrEqual), false),
        ("DateGreaterThan", Date(Greater), false),
        ("DateGreaterThanEquals", Date(GreaterOrEqual), false),
        ("Bool", Bool, false),
        ("BinaryEquals", Binary, false),
        ("IpAddress", Address, false),
        ("NotIpAddress", Address, true),
        ("ArnEquals", Arn, false),
        ("ArnNotEquals", Arn, true),
        ("ArnLike", Arn, false),
        ("ArnNotLike", Arn, true),
        ("Null", IsAbsent, false),
    ]
};

impl Operator {
    /// `None` for none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (quantifier, text) = match text.split_once(':') {
            Some((start, text)) if start.eq_ignore_ascii_case("ForAnyValue") => (Some(Quantifier::Any), text),
            Some((start, text)) if start.eq_ignore_ascii_case("ForAllValues") => {
                (Some(Quantifier::All), text)
            }
            Some(_) => return None,
            None => (None, text),
        };
        const IF_EXISTS: &str = "IfExists";
        let end = text.len().checked_sub(IF_EXISTS.len()).and_then(|at| text.get(at..).map(|end| (at, end)));
        let (text, if_exists) = match end {
            Some((at, end)) if end.eq_ignore_ascii_case(IF_EXISTS) => (&text[..at], true),
            _ => (text, false),
        };
        let (_, comparison, is_negated) =
            OPERATORS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text))?;
        // It asks for the key itself.
        if *comparison == Comparison::IsAbsent && (if_exists || quantifier.is_some()) {
            return None;
        }
        Some(Self { comparison: *comparison, is_negated: *is_negated, if_exists, quantifier })
    }
}

/// What a value is compared with.
#[derive(Debug, Clone)]
enum Operand {
    Text(Text),
    Number(f64),
    Date(i64),
    Bool(bool),
    Binary(Vec<u8>),
    Network(Network),
    Arn(Vec<Text>),
}

impl Operand {
    fn parse(text: &str, comparison: Comparison, variables: bool) -> Result<Option<Self>, Malformed> {
        let with = |wildcards| Text::parse(text, Syntax { wildcards, variables });
        Ok(match comparison {
            Comparison::Text { wildcards, .. } => Some(Self::Text(with(wildcards)?)),
            Comparison::Number(_) => number(text).map(Self::Number),
            Comparison::Date(_) => date::parse(text).map(Self::Date),
            Comparison::Bool | Comparison::IsAbsent => boolean(text).map(Self::Bool),
            Comparison::Binary => STANDARD.decode(text).ok().map(Self::Binary),
            Comparison::Address => Network::parse(text).map(Self::Network),
            Comparison::Arn => {
                let parts = with(true)?.split_colons(ARN_PARTS);
                let is_everything = matches!(&parts[..], [one] if one.is_everything());
                (parts.len() == ARN_PARTS || is_everything).then_some(Self::Arn(parts))
            }
        })
    }

    /// Whether a value of the request is what this one asks for. A value of another form is not.
    fn holds(&self, value: &str, comparison: Comparison, context: &Context) -> bool {
        match (self, comparison) {
            (Self::Text(text), Comparison::Text { ignores_case, .. }) => {
                if ignores_case {
                    text.matches_ignoring_case(context, value)
                } else {
                    text.matches(context, value)
                }
            }
            (Self::Number(own), Comparison::Number(order)) => {
                number(value).and_then(|value| value.partial_cmp(own)).is_some_and(|o| order.holds(o))
            }
            (Self::Date(own), Comparison::Date(order)) => {
                date::parse(value).is_some_and(|value| order.holds(value.cmp(own)))
            }
            (Self::Bool(own), Comparison::Bool) => boolean(value) == Some(*own),
            (Self::Binary(own), Comparison::Binary) => value.as_bytes() == own,
            (Self::Network(network), Comparison::Address) => {
                value.parse().is_ok_and(|address| network.contains(address))
            }
            (Self::Arn(parts), Comparison::Arn) => {
                if let [_everything] = &parts[..] {
                    return true;
                }
                let values: Vec<&str> = value.splitn(ARN_PARTS, ':').collect();
                values.len() == parts.len()
                    && parts.iter().zip(values).all(|(part, value)| part.matches(context, value))
            }
            _ => false,
        }
    }
}

/// Pieces of an ARN that are compared each for itself.
const ARN_PARTS: usize = 6;

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An address, or a range of them in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => longest,
        };
        if prefix > longest {
            return None;
        }
        // An IPv4 address in its IPv6 form is that IPv4 address.
        Some(match (address.to_canonical(), prefix.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(prefix)) if longest == 128 => Self { address, prefix },
            _ => Self { address, prefix },
        })
    }

    fn contains(self, address: IpAddr) -> bool {
        let same = |own: u128, other: u128, length: u32| {
            // The bits behind the prefix.
            let shift = length - self.prefix;
            own.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => same(own.to_bits(), other.to_bits(), 128),
            _ => false,
        }
    }

    /// Whether it is narrow enough to be some places rather than the world. Source: Amazon S3 User Guide, "Blocking public
    /// access to your Amazon S3 storage", "The meaning of public".
    fn is_narrow(self) -> bool {
        self.prefix >= if self.address.is_ipv4() { 8 } else { 32 }
    }
}

impl Condition {
    /// The conditions of the element Condition. With `variables`, values may have some.
    pub(crate) fn parse_all(value: &Json, variables: bool) -> Result<Vec<Self>, Malformed> {
        let Json::Object(operators) = value else { return Err(Malformed::syntax()) };
        let mut conditions = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, keys) in operators {
            let operator = Operator::parse(name)
                .ok_or_else(|| Malformed::of(format!("Invalid Condition type : {name}"), name))?;
            let Json::Object(keys) = keys else { return Err(Malformed::syntax()) };
            for (key_name, values) in keys {
                let key = Key::parse(key_name).ok_or_else(|| {
                    Malformed::of(format!("Policy has an invalid condition key: {key_name}"), key_name)
                })?;
                if !seen.insert((name.to_ascii_lowercase(), key.clone())) {
                    return Err(Malformed::of("Policy has the same condition key twice", key_name));
                }
                let operands = operands(operator, key_name, values, variables)?;
                let texts = values.texts().unwrap_or_default().into_iter().map(str::to_owned).collect();
                conditions.push(Self { key, operator, operands, written: (name.clone(), texts) });
            }
        }
        Ok(conditions)
    }

    /// The same as [`Condition::holds`], with what is compared.
    pub(crate) fn see(&self, context: &Context) -> SeenCondition {
        let (operator, wanted) = self.written.clone();
        let found = context.values(&self.key).to_vec();
        SeenCondition { operator, key: self.key.to_string(), wanted, found, holds: self.holds(context) }
    }

    /// Whether it holds for a request.
    pub(crate) fn holds(&self, context: &Context) -> bool {
        let (operator, values) = (self.operator, context.values(&self.key));
        if operator.comparison == Comparison::IsAbsent {
            let absent = values.is_empty();
            return self.operands.iter().any(|operand| matches!(operand, Operand::Bool(b) if *b == absent));
        }
        if values.is_empty() {
            return match operator.quantifier {
                _ if operator.if_exists => true,
                Some(Quantifier::All) => true,
                Some(Quantifier::Any) => false,
                None => operator.is_negated,
            };
        }
        let alias = context.alias(&self.key);
        let equals = |value: &String| {
            let holds = |operand: &Operand, value| operand.holds(value, operator.comparison, context);
            self.operands
                .iter()
                .any(|operand| holds(operand, value) || alias.is_some_and(|alias| holds(operand, alias)))
        };
        match (operator.quantifier, operator.is_negated) {
            (Some(Quantifier::Any) | None, false) => values.iter().any(equals),
            (Some(Quantifier::Any), true) => values.iter().any(|value| !equals(value)),
            (Some(Quantifier::All), false) => values.iter().all(equals),
            (Some(Quantifier::All) | None, true) => !values.iter().any(equals),
        }
    }

    /// Whether it holds of a value that is there only because what the value must not be cannot be known.
    pub(crate) fn leaves_open(&self, context: &Context) -> bool {
        let unknown = |text: &Text| !text.is_known(context);
        self.operator.is_negated
            && !context.values(&self.key).is_empty()
            && self.operands.iter().any(|operand| match operand {
                Operand::Text(text) => unknown(text),
                Operand::Arn(parts) => parts.iter().any(unknown),
                _ => false,
            })
    }

    /// The keys that it asks for: its own, and those of its values' variables.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        let of_values = self.operands.iter().flat_map(|operand| match operand {
            Operand::Text(text) => std::slice::from_ref(text),
            Operand::Arn(parts) => parts,
            _ => &[],
        });
        std::iter::once(&self.key).chain(of_values.flat_map(Text::variables))
    }

    /// Whether it holds for some fixed values alone, so that it tells some requests from all others.
    pub(crate) fn fixes_its_key(&self) -> bool {
        let Operator { is_negated, if_exists, quantifier, .. } = self.operator;
        let fixes = |operand: &Operand| match operand {
            Operand::Text(text) => text.is_fixed(),
            Operand::Network(network) => network.is_narrow(),
            Operand::Arn(parts) => parts.iter().all(Text::is_fixed),
            _ => false,
        };
        !is_negated
            && !if_exists
            && quantifier != Some(Quantifier::All)
            && !self.operands.is_empty()
            && self.operands.iter().all(fixes)
    }
}

fn operands(
    operator: Operator,
    key: &str,
    values: &Json,
    variables: bool,
) -> Result<Vec<Operand>, Malformed> {
    let texts = values.texts().filter(|texts| !texts.is_empty());
    let texts =
        texts.ok_or_else(|| Malformed::of(format!("Policy has an invalid value for the key {key}"), key))?;
    texts
        .into_iter()
        .map(|text| {
            Operand::parse(text, operator.comparison, variables)?.ok_or_else(|| {
                Malformed::of(format!("Policy has an invalid value for the key {key}: {text}"), text)
            })
        })
        .collect()
}
