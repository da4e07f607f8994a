mod delivery;

use std::time::Duration;

use env::Instant;
use metadata_api::AccountId;
use s3_wire::{
    acl::NamedGrantee,
    logging::{DateSource, KeyFormat, Logging},
};
use types::{BucketName, Permission, Timestamp};

use super::buffer::{
    BUCKET_BYTES_MAX, Batch, Buffers, Known, OBJECT_BYTES, Record, TOTAL_BYTES_FULL, TOTAL_BYTES_MAX,
};

const DAY: i64 = 86_400_000;

fn bucket(name: &str) -> BucketName {
    BucketName::new(name).unwrap()
}

fn at(seconds: u64) -> Instant {
    Instant::from_start(Duration::from_secs(seconds))
}

fn record(day: i64, text: &str) -> Record {
    Record { time: Timestamp(day * DAY), text: text.to_owned() }
}

fn known(key_format: Option<KeyFormat>) -> Known {
    let (target_bucket, target_prefix) = ("logs".to_owned(), String::new());
    Known {
        owner: AccountId("me".to_owned()),
        created: Timestamp(0),
        logging: Logging { target_bucket, target_prefix, key_format, target_grants: Vec::new() },
    }
}

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

#[test]
fn records_are_due_after_the_interval_or_when_they_are_many() {
    let mut buffers = Buffers::default();
    assert!(!buffers.push(&bucket("one"), record(1, "a"), at(0)));
    assert!(!buffers.push(&bucket("one"), record(1, "b"), at(50)));
    assert!(buffers.due(at(59), MINUTE).is_empty());
    assert_eq!(buffers.due(at(60), MINUTE), [bucket("one")]);
    assert_eq!(buffers.due(at(1), None), [bucket("one")]);
    let large = "x".repeat(OBJECT_BYTES);
    assert!(buffers.push(&bucket("two"), record(1, &large), at(1)));
    assert_eq!(buffers.due(at(1), MINUTE), [bucket("two")]);
    buffers.postpone(&bucket("two"), at(9));
    assert!(buffers.due(at(8), MINUTE).is_empty());
    assert_eq!(buffers.due(at(9), MINUTE), [bucket("two")]);
}

#[test]
fn a_log_object_keeps_its_key_and_its_content_until_it_is_there() {
    let (mut buffers, one) = (Buffers::default(), bucket("one"));
    buffers.push(&one, record(1, "a"), at(0));
    buffers.push(&one, record(1, "b"), at(0));
    let next = |buffers: &mut Buffers, unique| buffers.next(&one, "region", Timestamp(5 * DAY), unique);
    assert_eq!(next(&mut buffers, 1), None, "it is not known where it goes");
    buffers.set_known(&one, known(None));
    let batch = next(&mut buffers, 2).unwrap();
    assert_eq!((&batch.body[..], batch.records), (&b"me a\nme b\n"[..], 2));
    assert_eq!(batch.key, "1970-01-06-00-00-00-0000000000000002");
    buffers.push(&one, record(1, "c"), at(1));
    assert_eq!(next(&mut buffers, 3).as_ref(), Some(&batch), "it is tried again");
    assert_eq!(buffers.records(), 3);
    buffers.finish(&one, &batch);
    let last = next(&mut buffers, 4).unwrap();
    assert_eq!(&last.body[..], b"me c\n");
    buffers.finish(&one, &last);
    assert_eq!((buffers.records(), next(&mut buffers, 5)), (0, None));
    assert!(buffers.due(at(9), None).is_empty());
}

/// What is not granted any more is not granted by a log that could not be written before.
#[test]
fn a_log_object_that_is_tried_again_grants_what_is_granted_by_then() {
    let (mut buffers, one) = (Buffers::default(), bucket("one"));
    buffers.push(&one, record(1, "a"), at(0));
    let next = |buffers: &mut Buffers| buffers.next(&one, "region", Timestamp(5 * DAY), 1).unwrap();
    let granting = |target: &str, id: &str| {
        let mut known = known(None);
        known.logging.target_bucket = target.to_owned();
        known.logging.target_grants = vec![(NamedGrantee::Id(id.to_owned()), Permission::Read)];
        known
    };
    buffers.set_known(&one, granting("logs", "ann"));
    let first = next(&mut buffers);
    assert_eq!(first.grants, [(NamedGrantee::Id("ann".to_owned()), Permission::Read)]);
    buffers.set_known(&one, granting("logs", "bob"));
    let again = next(&mut buffers);
    assert_eq!(again.grants, [(NamedGrantee::Id("bob".to_owned()), Permission::Read)]);
    buffers.set_known(&one, known(None));
    let again = next(&mut buffers);
    assert_eq!(again, Batch { grants: Vec::new(), ..first });
    // What is granted in another bucket says nothing of this one.
    buffers.set_known(&one, granting("others", "eve"));
    assert_eq!(next(&mut buffers), again);
}

#[test]
fn a_log_object_by_the_time_of_events_is_of_one_day() {
    let (mut buffers, one) = (Buffers::default(), bucket("one"));
    for (day, text) in [(1, "a"), (1, "b"), (2, "c")] {
        buffers.push(&one, record(day, text), at(0));
    }
    buffers.set_known(&one, known(Some(KeyFormat::Partitioned(DateSource::EventTime))));
    let first = buffers.next(&one, "region", Timestamp(5 * DAY), 1).unwrap();
    assert_eq!(&first.body[..], b"me a\nme b\n");
    assert_eq!(first.key, "me/region/one/1970/01/02/1970-01-02-00-00-00-0000000000000001");
    buffers.finish(&one, &first);
    let second = buffers.next(&one, "region", Timestamp(5 * DAY), 2).unwrap();
    assert_eq!(second.key, "me/region/one/1970/01/03/1970-01-03-00-00-00-0000000000000002");
}

#[test]
fn beyond_the_bounds_the_oldest_is_dropped_and_counted() {
    let (mut buffers, one) = (Buffers::default(), bucket("one"));
    let large = "x".repeat(1 << 20);
    let fits = BUCKET_BYTES_MAX / (large.len() + 64);
    buffers.push(&one, record(1, "oldest"), at(0));
    for _ in 0..fits {
        buffers.push(&one, record(2, &large), at(0));
    }
    assert_eq!((buffers.records(), buffers.take_dropped()), (fits + 1, 0));
    buffers.push(&one, record(3, &large), at(0));
    assert_eq!((buffers.records(), buffers.take_dropped()), (fits, 2));
    // What could not be written is older than what waits.
    buffers.set_known(&one, known(None));
    let batch = buffers.next(&one, "region", Timestamp(0), 1).unwrap();
    for _ in 0..batch.records {
        buffers.push(&one, record(4, &large), at(0));
    }
    assert_eq!(buffers.take_dropped(), batch.records as u64);
    buffers.finish(&one, &batch);

    let mut count = buffers.records();
    for number in 0..TOTAL_BYTES_MAX / BUCKET_BYTES_MAX {
        let bucket = bucket(&format!("more{number}"));
        for _ in 0..fits {
            count += 1;
            buffers.push(&bucket, record(5, &large), at(0));
        }
    }
    let dropped = usize::try_from(buffers.take_dropped()).unwrap();
    assert!(dropped > 0 && buffers.records() * large.len() <= TOTAL_BYTES_MAX);
    assert!((buffers.records() + 10) * large.len() > TOTAL_BYTES_MAX, "no more is dropped than must be");
    assert_eq!(buffers.records() + dropped, count);
}

#[test]
fn when_much_is_held_of_all_the_largest_that_may_be_tried_are_due() {
    let mut buffers = Buffers::default();
    let mebibyte = "x".repeat(1 << 20);
    let mut told = 0;
    for number in 0..12 {
        for _ in 0..3 {
            told +=
                usize::from(buffers.push(&bucket(&format!("large{number:02}")), record(1, &mebibyte), at(0)));
        }
    }
    assert!(told == 1 && 12 * 3 * mebibyte.len() > TOTAL_BYTES_FULL, "it is told once: {told}");
    for number in 0..100 {
        assert!(
            !buffers.push(&bucket(&format!("small{number}")), record(1, "a"), at(0)),
            "nor for each request"
        );
    }
    let due = buffers.due(at(1), MINUTE);
    assert_eq!(due.len(), 7, "down to half of what is much: {due:?}");
    assert!(due.iter().all(|bucket| bucket.as_str().starts_with("large")), "{due:?}");
    for number in 0..8 {
        buffers.postpone(&bucket(&format!("large{number:02}")), at(9));
    }
    assert!(buffers.due(at(1), MINUTE).is_empty(), "the small ones need not pay for what cannot be written");
    assert!(buffers.unknown(at(1)).len() == 104, "what was postponed is not asked for");
}
