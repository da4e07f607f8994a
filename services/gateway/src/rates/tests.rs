//! Who is counted for what, and how bodies wait, by a clock that stands still while anything can be done.

use std::{net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use env::{Clock, Env, Instant, RealDisk, RealNetwork, RealRandom};
use futures_util::future::{join, join_all};
use http::Extensions;
use http_body_util::BodyExt;
use metadata_api::{AccountId, RateHolder, RateLimit, Rates};

use super::{Limits, Pacing, Rate, RateLimits, network_of, next_refused, pacing};
use crate::{RateConfig, auth::Authenticated};

#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
impl Clock for PausedClock {
    fn now(&self) -> Instant {
        Instant::from_start(tokio::time::Instant::now() - self.0)
    }

    fn wall_clock_ms(&self) -> i64 {
        0
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

const KIB: u64 = 1 << 10;

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
fn rates(config: &RateConfig) -> (Env, Arc<RateLimits>) {
    let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
    let env = Env::new(clock, Arc::new(RealRandom), Arc::new(RealNetwork), Arc::new(RealDisk));
    (env.clone(), Arc::new(RateLimits::new(env, config)))
}

/// 128 KiB a second each way, of which a second's can be used at once.
fn bytes_config() -> RateConfig {
    let bytes = 128 * KIB;
    RateConfig {
        receive_rate_max: bytes,
        send_rate_max: bytes,
        rate_burst_seconds: 1,
        ..RateConfig::default()
    }
}

fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().expect("an address"))
}

/// What paces a request without credentials from this address.
fn paced(rates: &Arc<RateLimits>, from: &str) -> Pacing {
    let allowance = rates.allowance(&Authenticated::nobody(), address(from)).expect("there is a limit");
    let pacing = Pacing::default();
    pacing.set(allowance, true);
    pacing
}

fn content(bytes: u64) -> Bytes {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

fn answer(pacing: Pacing, bytes: u64) -> Body {
    pacing.answer(http::Response::new(Body::from(content(bytes)))).into_body()
}

async fn took(env: &Env, act: impl Future) -> f64 {
    let begun = env.now();
    act.await;
    env.now().since(begun).as_secs_f64()
}

#[track_caller]
fn about(seconds: f64, expected: f64) {
    assert!((seconds - expected).abs() < 0.01, "{seconds} s, not {expected}");
}

#[test]
fn what_is_said_of_somebody_goes_before_what_settings_say() {
    let defaults = RateConfig { request_rate_max: 10, send_rate_max: 1 << 20, ..RateConfig::default() };
    let (none, defaults) = (Rates::default(), defaults.rates());
    let rate = |per_second, burst| Some(Rate { per_second, burst: Duration::from_secs(burst) });
    let limits = Limits::new(none, defaults);
    assert_eq!((limits.requests, limits.received, limits.sent), (rate(10, 2), None, rate(1 << 20, 2)));
    let said = Rates { requests: Some(0), received_bytes: Some(1 << 16), burst_seconds: Some(5), ..none };
    let limits = Limits::new(said, defaults);
    assert_eq!((limits.requests, limits.received, limits.sent), (None, rate(1 << 16, 5), rate(1 << 20, 5)));
    assert!(Limits::new(none, none).is_any() && Limits::new(none, RateConfig::default().rates()).is_any());
}

#[test]
fn an_address_is_a_network_of_version_6() {
    let of = |text| network_of(address(text));
    assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
    assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_address_and_come_back_with_time() {
    let config = RateConfig { request_rate_max: 3, rate_burst_seconds: 1, ..RateConfig::default() };
    let (env, rates) = rates(&config);
    let nobody = Authenticated::nobody();
    let take = |from| {
        let allowance = rates.allowance(&nobody, address(from)).expect("there is a limit");
        allowance.take_request().map_err(|(_, wait)| wait)
    };
    for _ in 0..3 {
        assert_eq!(take("192.0.2.1"), Ok(()));
    }
    let wait = take("192.0.2.1").expect_err("that were three");
    about(wait.as_secs_f64(), 1.0 / 3.0);
    assert_eq!(take("192.0.2.2"), Ok(()), "another address");
    env.sleep(wait).await;
    assert_eq!(take("192.0.2.1"), Ok(()));
    assert!(take("192.0.2.1").is_err());
    assert_eq!(rates.known(), 2);
    // What an operator says holds from then on, and as long as it is said.
    let anonymous = |requests| RateLimit {
        holder: RateHolder::Anonymous,
        rates: Rates { requests: Some(requests), ..Rates::default() },
    };
    rates.set_said(vec![(AccountId::root(), anonymous(0))]);
    assert!(rates.allowance(&nobody, address("192.0.2.1")).is_none(), "any number");
    rates.set_said(Vec::new());
    assert!(take("192.0.2.1").is_err());
}

/// The audit log hears of somebody who is over their rate now and then, and not each time.
#[tokio::test(start_paused = true)]
async fn refusals_are_told_of_now_and_then() {
    let config = RateConfig { request_rate_max: 1, rate_burst_seconds: 1, ..RateConfig::default() };
    let (env, rates) = rates(&config);
    let nobody = Authenticated::nobody();
    let refuse = |from| {
        let allowance = rates.allowance(&nobody, address(from)).expect("there is a limit");
        let (share, wait) = loop {
            if let Err(refused) = allowance.take_request() {
                break refused;
            }
        };
        rates.refuse(share, wait).is_told
    };
    assert!(refuse("192.0.2.1") && !refuse("192.0.2.1") && refuse("192.0.2.2"));
    env.sleep(Duration::from_secs(9)).await;
    assert!(!refuse("192.0.2.1"));
    env.sleep(Duration::from_secs(1)).await;
    assert!(refuse("192.0.2.1"));
    assert_eq!(rates.refused().map(|(_, counter)| counter.get()).sum::<u64>(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_sent_at_the_rate_and_is_what_it_was() {
    let (env, rates) = rates(&bytes_config());
    let body = answer(paced(&rates, "192.0.2.1"), 640 * KIB);
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(640 * KIB), false));
    let mut body = Some(body);
    let seconds = took(&env, async {
        let mut body = body.take().expect("it is there");
        let mut left = 640 * KIB;
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("no error").into_data().expect("bytes");
            assert!(data.len() as u64 <= 16 * KIB, "a piece of an eighth of a second");
            left -= data.len() as u64;
            assert_eq!(body.size_hint().exact(), Some(left));
            sent.extend_from_slice(&data);
        }
        assert_eq!(sent, content(640 * KIB));
    });
    about(seconds.await, 4.0);
    let waited = rates.sent_waited_ms.get();
    assert!((3900..=4000).contains(&waited), "{waited} ms");
    // Small ones are no way round, nor are new ones.
    let small = async {
        for _ in 0..64 {
            drop(answer(paced(&rates, "192.0.2.1"), 4 * KIB).collect().await);
        }
    };
    about(took(&env, small).await, 2.0);
    about(took(&env, answer(paced(&rates, "192.0.2.2"), 128 * KIB).collect()).await, 0.0);
}

/// Those who share a rate have their turns one after the other, so none of them is starved.
#[tokio::test(start_paused = true)]
async fn answers_share_a_rate() {
    let (env, rates) = rates(&bytes_config());
    let one = || took(&env, answer(paced(&rates, "192.0.2.1"), 640 * KIB).collect());
    let small = async {
        env.sleep(Duration::from_secs(3)).await;
        took(&env, answer(paced(&rates, "192.0.2.1"), 16 * KIB).collect()).await
    };
    let ((first, second), small) = join(join(one(), one()), small).await;
    about(first.max(second), 9.0 + 0.125);
    // Whoever comes first has the burst, which is a second, and a turn.
    assert!((first - second).abs() < 1.2, "{first} and {second}");
    assert!(small < 0.5, "it waits for one turn of each: {small}");
}

/// What is left behind by a client who goes away is nobody's loss.
#[tokio::test(start_paused = true)]
async fn turns_of_who_goes_away_are_given_back() {
    let (env, rates) = rates(&bytes_config());
    drop(answer(paced(&rates, "192.0.2.1"), 128 * KIB).collect().await);
    for _ in 0..100 {
        let mut body = answer(paced(&rates, "192.0.2.1"), 64 * KIB);
        let gone = env.timeout(Duration::ZERO, body.frame()).await;
        assert!(gone.is_err(), "it waits for its turn");
    }
    about(took(&env, answer(paced(&rates, "192.0.2.1"), 16 * KIB).collect()).await, 0.125);
}

/// Reads as uploads are read.
async fn next_frame(pacing: &Pacing, body: &mut Body) -> Option<Bytes> {
    let turn = pacing.turn_to_read(body).await;
    let frame = body.frame().await?.expect("no error").into_data().expect("bytes");
    turn.received(frame.len());
    Some(frame)
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_at_the_rate() {
    let (env, rates) = rates(&bytes_config());
    let pacing = paced(&rates, "192.0.2.1");
    let frames = || {
        let pieces = (0..10).map(|_| Ok::<_, std::io::Error>(content(64 * KIB)));
        Body::from_stream(futures_util::stream::iter(pieces.collect::<Vec<_>>()))
    };
    let read = async |pacing: &Pacing| {
        let (mut body, mut bytes) = (frames(), 0);
        while let Some(frame) = next_frame(pacing, &mut body).await {
            bytes += frame.len();
        }
        assert_eq!(bytes as u64, 640 * KIB);
    };
    // The last frames are debts that whoever comes next waits for.
    let first = took(&env, read(&pacing)).await;
    assert!((3.4..=4.2).contains(&first), "{first}");
    about(first + took(&env, read(&pacing)).await, 9.125);
    about(took(&env, read(&Pacing::default())).await, 0.0);
    let mut empty = Body::empty();
    about(took(&env, next_frame(&pacing, &mut empty)).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_refusal_does_not_wait() {
    let (env, rates) = rates(&bytes_config());
    drop(answer(paced(&rates, "192.0.2.1"), 256 * KIB).collect().await);
    let allowance = rates.allowance(&Authenticated::nobody(), address("192.0.2.1")).expect("a limit");
    let refused = Pacing::default();
    refused.set(allowance, false);
    about(took(&env, answer(refused, 16 * KIB).collect()).await, 0.0);
    about(took(&env, answer(pacing(&Extensions::new()), 16 * KIB).collect()).await, 0.0);
}

/// What is refused comes as fast as it is sent, and no body that is received waits for it.
#[tokio::test(start_paused = true)]
async fn bodies_of_what_is_refused_delay_nobody() {
    let (env, rates) = rates(&bytes_config());
    let pacing = paced(&rates, "192.0.2.1");
    let refused = async || {
        let mut body = Body::from(content(4096 * KIB));
        while let Some(frame) = next_refused(&pacing, &mut body).await {
            drop(frame.expect("no error"));
        }
    };
    about(took(&env, refused()).await, 0.0);
    // It has used up what could be used at once, and nothing of what comes back.
    let mut body = Body::from(content(16 * KIB));
    about(took(&env, next_frame(&pacing, &mut body)).await, 0.125);
    let waiting = async {
        let mut body = Body::from(content(16 * KIB));
        took(&env, next_frame(&pacing, &mut body)).await
    };
    let (waited, ()) = join(waiting, refused()).await;
    about(waited, 0.125);
}

/// Few bodies of one are received at a time, and others wait in the order in which they came; somebody else's do not.
#[tokio::test(start_paused = true)]
async fn few_bodies_of_one_are_received_at_a_time() {
    let (env, rates) = rates(&bytes_config());
    let long = || Body::from(content(65 * KIB)).size_hint();
    let place = async |from: &str| paced(&rates, from).place_of(long()).await;
    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(place("192.0.2.1").await.expect("there is room"));
    }
    about(took(&env, async { drop(place("192.0.2.2").await.expect("it is another's")) }).await, 0.0);
    // What is a cell at most holds nothing while it is received.
    let small = Body::from(content(64 * KIB));
    about(took(&env, paced(&rates, "192.0.2.1").place_of(small.size_hint())).await, 0.0);
    let fifth = async {
        let begun = env.now();
        let place = place("192.0.2.1").await.expect("there is room after a while");
        (env.now().since(begun).as_secs_f64(), place)
    };
    let ends = async {
        env.sleep(Duration::from_secs(20)).await;
        drop(places.pop());
    };
    let ((waited, _fifth), ()) = join(fifth, ends).await;
    about(waited, 20.0);
    let begun = env.now();
    let refused = join_all((0..3).map(|_| place("192.0.2.1"))).await;
    about(env.now().since(begun).as_secs_f64(), 30.0);
    for refused in refused {
        let error = refused.expect_err("there is no room");
        assert_eq!(error.code, s3_wire::ErrorCode::SlowDown);
        assert_eq!(error.headers[0].1, "10");
    }
    assert_eq!(rates.refused().map(|(_, counter)| counter.get()).sum::<u64>(), 3);
    drop(places);
    drop(place("192.0.2.1").await.expect("there is room again"));
    // Where no rate holds for bodies, any number is received.
    let (_, free) = self::rates(&RateConfig { request_rate_max: 100, ..RateConfig::default() });
    let places = join_all((0..9).map(async |_| paced(&free, "192.0.2.1").place_of(long()).await)).await;
    assert!(places.into_iter().all(|place| place.is_ok()));
}

/// What was used at once by a limit that holds no more is not waited for.
#[tokio::test(start_paused = true)]
async fn a_limit_that_changes_holds_at_once() {
    let (env, rates) = rates(&RateConfig::default());
    let anonymous = |requests, burst_seconds| RateLimit {
        holder: RateHolder::Anonymous,
        rates: Rates { requests: Some(requests), burst_seconds: Some(burst_seconds), ..Rates::default() },
    };
    let take = || {
        let allowance = rates.allowance(&Authenticated::nobody(), address("192.0.2.1")).expect("a limit");
        allowance.take_request().map_err(|(_, wait)| wait)
    };
    rates.set_said(vec![(AccountId::root(), anonymous(1, 3600))]);
    assert_eq!((0..10_000).take_while(|_| take().is_ok()).count(), 3600);
    rates.set_said(vec![(AccountId::root(), anonymous(2, 1))]);
    let wait = take().expect_err("a burst is used up");
    about(wait.as_secs_f64(), 0.5);
    env.sleep(wait).await;
    assert_eq!(take(), Ok(()));
}
