//! Limits of rates.

use proptest::{collection::vec, option, prelude::*};

use crate::{
    AccountId, BURST_SECONDS_MAX, BYTES_RATE_MIN, RATE_MAX, RateHolder, RateLimit, RateLimitSet, Rates,
    wire::rates::{RateLimits, SetRateLimit},
};

fn holder() -> impl Strategy<Value = RateHolder> {
    prop_oneof![
        ".{1,64}".prop_map(RateHolder::User),
        ".{1,64}".prop_map(RateHolder::Role),
        "[A-Z0-9]{1,20}".prop_map(RateHolder::AccessKey),
        Just(RateHolder::Root),
        Just(RateHolder::Anonymous),
    ]
}

fn rates() -> impl Strategy<Value = Rates> {
    let bytes = || option::of(prop_oneof![Just(0), BYTES_RATE_MIN..=RATE_MAX]);
    (option::of(0..=RATE_MAX), bytes(), bytes(), option::of(1..=BURST_SECONDS_MAX)).prop_map(
        |(requests, received_bytes, sent_bytes, burst_seconds)| Rates {
            requests,
            received_bytes,
            sent_bytes,
            burst_seconds,
        },
    )
}

pub(crate) fn rate_limits() -> impl Strategy<Value = RateLimits> {
    let limit = (holder(), rates()).prop_map(|(holder, rates)| RateLimit { holder, rates });
    vec(limit, 0..4).prop_map(RateLimits)
}

pub(crate) fn set_rate_limit() -> impl Strategy<Value = SetRateLimit> {
    ("[a-f0-9]{1,64}", holder(), option::of(rates())).prop_map(|(account, holder, rates)| SetRateLimit {
        account: AccountId(account),
        holder,
        rates,
    })
}

pub(crate) fn rate_limit_set() -> impl Strategy<Value = RateLimitSet> {
    prop_oneof![Just(RateLimitSet::Done), Just(RateLimitSet::NoSuchHolder), Just(RateLimitSet::TooMany)]
}
