//! Inventory configurations: many of a bucket, each with a name, and when each was carried out.

use bytes::Bytes;
use types::Timestamp;

use super::support::{Store, account, bucket, bucket_name, get_bucket};
use metadata_api::{
    CreateBucket, Error, INVENTORIES_MAX, INVENTORIES_PAGE_MAX, INVENTORY_LENGTH_MAX, Inventory,
    PAGE_SIZE_MAX,
};

fn document(text: &str) -> Option<Bytes> {
    Some(Bytes::from(text.to_owned()))
}

/// Each is one document, which is replaced and removed by its name and gone with its bucket; when it was carried out stays with it.
pub async fn inventories_are_kept_by_name_and_go_with_their_bucket(store: &Store) {
    let (name, other) = (bucket(store).await, bucket(store).await);
    let before = get_bucket(store, &name).await;
    let list = async |bucket, from: &str, limit| {
        let found = store.list_inventories(bucket, from, limit).await.expect("the bucket is there");
        let short = |found: Inventory| {
            (found.id, String::from_utf8(found.document.to_vec()).unwrap_or_default(), found.listed)
        };
        found.into_iter().map(short).collect::<Vec<_>>()
    };
    let entry =
        |id: &str, text: &str, listed: Option<i64>| (id.to_owned(), text.to_owned(), listed.map(Timestamp));
    let set = async |id: &str, document| {
        store.set_inventory(&name, id, document).await.expect("a document that can be stored")
    };
    assert!(list(&name, "", 9).await.is_empty());
    assert!(!set("a", None).await, "there is none to be removed");
    for (id, text) in [("b", "1"), ("a.1", "2"), ("B", "3"), ("b", "4")] {
        assert!(set(id, document(text)).await);
    }
    let all = [entry("B", "3", None), entry("a.1", "2", None), entry("b", "4", None)];
    assert_eq!(list(&name, "", 9).await, all, "in the order of bytes");
    assert_eq!(list(&name, "a.1", 1).await, all[1..2], "from a name on, that one included");
    assert_eq!(list(&name, "a.2", 9).await, all[2..], "no such name is needed");
    assert!(list(&other, "", 9).await.is_empty(), "they are of one bucket");

    store.mark_inventory(&name, "b", Timestamp(7)).await.expect("it is marked");
    store.mark_inventory(&name, "none", Timestamp(7)).await.expect("one that is not there is not made");
    assert!(set("b", document("5")).await);
    assert_eq!(list(&name, "a.2", 9).await, [entry("b", "5", Some(7))], "what was marked stays");
    assert!(set("b", None).await);
    assert!(set("b", document("6")).await);
    assert_eq!(list(&name, "b", 9).await, [entry("b", "6", None)], "another one of the same name was not");

    let long = Some(Bytes::from(vec![1; INVENTORY_LENGTH_MAX + 1]));
    for (id, document) in [("c", long), ("", document("1")), (&*"x".repeat(65), document("1"))] {
        let answer = store.set_inventory(&name, id, document).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "{id:?} answered {answer:?}");
    }
    for limit in [0, INVENTORIES_PAGE_MAX + 1] {
        let answer = store.list_inventories(&name, "", limit).await;
        assert!(matches!(answer, Err(Error::Malformed { .. })), "a page of {limit} answered {answer:?}");
    }
    let names = async |after| store.list_buckets_with_inventories(after, PAGE_SIZE_MAX).await.expect("names");
    assert!(names(None).await.contains(&name) && !names(None).await.contains(&other));
    assert!(names(Some(&name)).await.iter().all(|next| *next > name));
    assert_eq!(get_bucket(store, &name).await, before, "what the bucket holds did not change");

    store.delete_bucket(&name).await.expect("an empty bucket");
    let request = CreateBucket::new(name.clone(), account());
    store.create_bucket(request).await.expect("a free name");
    assert!(list(&name, "", 9).await.is_empty(), "a bucket of the same name is another");
    assert!(!names(None).await.contains(&name));

    store.set_inventory(&name, "c", document("1")).await.expect("a document that can be stored");
    let now = async || store.list_inventories(&name, "c", 1).await.expect("a page")[0].now;
    let (first, second) = (now().await, now().await);
    assert!(first.0 > 0 && second >= first, "the clock goes on: {first:?} {second:?}");

    let missing = bucket_name();
    let not_found = Error::BucketNotFound { bucket: missing.clone() };
    assert_eq!(store.set_inventory(&missing, "a", document("1")).await, Err(not_found.clone()));
    assert_eq!(store.set_inventory(&missing, "a", None).await, Err(not_found.clone()));
    assert_eq!(store.list_inventories(&missing, "", 9).await, Err(not_found.clone()));
    assert_eq!(store.mark_inventory(&missing, "a", Timestamp(1)).await, Err(not_found));
}

/// A bucket has a thousand at most; those that it has can be replaced then.
pub async fn a_bucket_has_a_thousand_inventories_at_most(store: &Store) {
    let name = bucket(store).await;
    for number in 0..INVENTORIES_MAX {
        let done = store.set_inventory(&name, &format!("{number:04}"), document("1")).await;
        assert_eq!(done, Ok(true), "{number}");
    }
    assert_eq!(store.set_inventory(&name, "more", document("1")).await, Ok(false));
    assert_eq!(store.set_inventory(&name, "0500", document("2")).await, Ok(true));
    assert_eq!(store.set_inventory(&name, "0000", None).await, Ok(true));
    assert_eq!(store.set_inventory(&name, "more", document("1")).await, Ok(true));
    let last = store.list_inventories(&name, "0950", INVENTORIES_PAGE_MAX).await.expect("a page");
    assert_eq!((last.len(), last[50].id.as_str()), (51, "more"));
}
