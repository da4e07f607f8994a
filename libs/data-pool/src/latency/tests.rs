use std::time::Duration;

use super::{BUCKETS, EXTRA_BURST, Latency, bucket, upper_bound};

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn buckets_cover_their_times() {
    let mut before = 0;
    for micros in (1..5000_u64).chain((5000..20_000_000).step_by(997)) {
        let time = Duration::from_micros(micros);
        let bucket = bucket(time);
        assert!(bucket == before || bucket > before && bucket < BUCKETS, "{micros}");
        assert!(time < upper_bound(bucket) || bucket == BUCKETS - 1, "{micros}");
        if micros >= 4 && bucket < BUCKETS - 1 {
            assert!(upper_bound(bucket) <= time + time / 4 + Duration::from_micros(2), "{micros}");
        }
        before = bucket;
    }
    assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
}

#[test]
fn the_hedge_is_what_nineteen_in_twenty_reads_take() {
    let latency = Latency::default();
    assert_eq!(latency.hedge(), Duration::from_millis(300), "nothing is known");
    for number in 0..1000 {
        latency.answered(if number % 50 == 0 { 200 * MILLISECOND } else { 20 * MILLISECOND });
    }
    let hedge = latency.hedge();
    assert!(hedge > 20 * MILLISECOND && hedge <= 26 * MILLISECOND, "{hedge:?}");
    // Another load: the old times are forgotten.
    (0..20_000).for_each(|_| latency.answered(50 * MILLISECOND));
    let hedge = latency.hedge();
    assert!(hedge > 50 * MILLISECOND && hedge <= 63 * MILLISECOND, "{hedge:?}");
    (0..20_000).for_each(|_| latency.answered(MILLISECOND / 10));
    assert_eq!(latency.hedge(), 10 * MILLISECOND, "not sooner");
    (0..20_000).for_each(|_| latency.answered(900 * MILLISECOND));
    assert_eq!(latency.hedge(), 300 * MILLISECOND, "not later");
}

/// Reads that are given up at the hedge must not make the next hedge shorter, or it would end at nothing.
#[test]
fn the_hedge_does_not_shrink_by_being_used() {
    let latency = Latency::default();
    let time = |number: u64| if number.is_multiple_of(25) { 200 * MILLISECOND } else { 20 * MILLISECOND };
    (0..4000).for_each(|number| latency.answered(time(number)));
    let before = latency.hedge();
    for number in 0..40_000 {
        let hedge = latency.hedge();
        if time(number) < hedge { latency.answered(time(number)) } else { latency.given_up(hedge) }
    }
    assert_eq!(latency.hedge(), before);
}

#[test]
fn extra_reads_are_a_tenth_of_all_and_a_few() {
    let latency = Latency::default();
    let burst = usize::try_from(EXTRA_BURST).unwrap();
    assert!(latency.may_read_extra(burst));
    assert!(!latency.may_read_extra(1));
    let mut extra = 0;
    for _ in 0..1000 {
        latency.began(4);
        extra += usize::from(latency.may_read_extra(1));
    }
    assert_eq!(extra, 400);
    (0..1000).for_each(|_| latency.began(4));
    assert!(!latency.may_read_extra(burst + 1), "what is not used is not kept for ever");
}
