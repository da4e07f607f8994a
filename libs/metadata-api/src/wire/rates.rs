//! Limits of rates.

use super::{WireError, list, messages, proto, text};
use crate::{AccountId, RATE_LIMITS_MAX, RateHolder, RateLimit, RateLimitSet, Rates};

impl From<RateHolder> for proto::RateHolder {
    fn from(holder: RateHolder) -> Self {
        let (_, name) = holder.parts();
        let kind = match &holder {
            RateHolder::User(_) => proto::RateHolderKind::User,
            RateHolder::Role(_) => proto::RateHolderKind::Role,
            RateHolder::AccessKey(_) => proto::RateHolderKind::AccessKey,
            RateHolder::Root => proto::RateHolderKind::Root,
            RateHolder::Anonymous => proto::RateHolderKind::Anonymous,
        };
        Self { kind: kind.into(), name: name.to_owned() }
    }
}

impl TryFrom<proto::RateHolder> for RateHolder {
    type Error = WireError;

    fn try_from(message: proto::RateHolder) -> Result<Self, WireError> {
        let proto::RateHolder { kind, name } = message;
        if proto::RateHolderKind::try_from(kind).is_err() {
            return Err(WireError::UnknownValue { field: "kind", value: kind });
        }
        Self::of_parts(kind.into(), name).ok_or_else(|| WireError::invalid("name", "no such holder"))
    }
}

impl From<Rates> for proto::Rates {
    fn from(rates: Rates) -> Self {
        let Rates { requests, received_bytes, sent_bytes, burst_seconds } = rates;
        Self { requests, received_bytes, sent_bytes, burst_seconds }
    }
}

impl TryFrom<proto::Rates> for Rates {
    type Error = WireError;

    fn try_from(message: proto::Rates) -> Result<Self, WireError> {
        let proto::Rates { requests, received_bytes, sent_bytes, burst_seconds } = message;
        let rates = Self { requests, received_bytes, sent_bytes, burst_seconds };
        rates.check().map_err(|error| WireError::invalid("rates", error))?;
        Ok(rates)
    }
}

impl From<RateLimit> for proto::RateLimit {
    fn from(RateLimit { holder, rates }: RateLimit) -> Self {
        Self { holder: Some(holder.into()), rates: Some(rates.into()) }
    }
}

impl TryFrom<proto::RateLimit> for RateLimit {
    type Error = WireError;

    fn try_from(message: proto::RateLimit) -> Result<Self, WireError> {
        let holder = message.holder.ok_or(WireError::Missing { field: "holder" })?.try_into()?;
        Ok(Self { holder, rates: message.rates.ok_or(WireError::Missing { field: "rates" })?.try_into()? })
    }
}

/// All limits of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RateLimits(pub(crate) Vec<RateLimit>);

impl From<RateLimits> for proto::ListRateLimitsResponse {
    fn from(RateLimits(limits): RateLimits) -> Self {
        Self { limits: messages(limits) }
    }
}

impl TryFrom<proto::ListRateLimitsResponse> for RateLimits {
    type Error = WireError;

    fn try_from(message: proto::ListRateLimitsResponse) -> Result<Self, WireError> {
        list(message.limits, RATE_LIMITS_MAX, "limits").map(Self)
    }
}

/// Whose limit is set, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetRateLimit {
    pub(crate) account: AccountId,
    pub(crate) holder: RateHolder,
    pub(crate) rates: Option<Rates>,
}

impl From<SetRateLimit> for proto::SetRateLimitRequest {
    fn from(request: SetRateLimit) -> Self {
        let SetRateLimit { account, holder, rates } = request;
        Self { account: account.0, holder: Some(holder.into()), rates: rates.map(Into::into) }
    }
}

impl TryFrom<proto::SetRateLimitRequest> for SetRateLimit {
    type Error = WireError;

    fn try_from(message: proto::SetRateLimitRequest) -> Result<Self, WireError> {
        let proto::SetRateLimitRequest { account, holder, rates } = message;
        Ok(Self {
            account: AccountId(text(account, "account")?),
            holder: holder.ok_or(WireError::Missing { field: "holder" })?.try_into()?,
            rates: rates.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<RateLimitSet> for proto::SetRateLimitResponse {
    fn from(set: RateLimitSet) -> Self {
        let outcome = match set {
            RateLimitSet::Done => proto::RateLimitSet::Done,
            RateLimitSet::NoSuchHolder => proto::RateLimitSet::NoSuchHolder,
            RateLimitSet::TooMany => proto::RateLimitSet::TooMany,
        };
        Self { outcome: outcome.into() }
    }
}

impl TryFrom<proto::SetRateLimitResponse> for RateLimitSet {
    type Error = WireError;

    fn try_from(message: proto::SetRateLimitResponse) -> Result<Self, WireError> {
        let value = message.outcome;
        match proto::RateLimitSet::try_from(value) {
            Ok(proto::RateLimitSet::Done) => Ok(Self::Done),
            Ok(proto::RateLimitSet::NoSuchHolder) => Ok(Self::NoSuchHolder),
            Ok(proto::RateLimitSet::TooMany) => Ok(Self::TooMany),
            Ok(proto::RateLimitSet::Unspecified) | Err(_) => {
                Err(WireError::UnknownValue { field: "outcome", value })
            }
        }
    }
}
