//! The largest object that an upload can make: 10,000 parts of 5 GiB. Its parts are rows without bytes, as a gateway would have
//! committed them; everything that is asked of it is asked over HTTP.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use harness::{Bucket, Cluster};
use http::Method;
use metadata_api::{CommitPart, Metadata};
use types::{
    BucketName, CHUNK_SIZE_MAX, ChecksumAlgorithm, ChecksumValue, ChunkId, Coding, Content, ETag, Extent,
    GroupId, LeaseId, Manifest, ObjectKey, PartNumber, UploadId,
};

const PARTS: u16 = 10_000;
const PART_SIZE: u64 = 5 << 30;
const SIZE: u64 = PARTS as u64 * PART_SIZE;

fn etag(number: u16) -> ETag {
    let mut digest = [7; 16];
    digest[..2].copy_from_slice(&number.to_be_bytes());
    ETag { digest, parts: None }
}

fn part(bucket: &Bucket, upload: UploadId, lease: LeaseId, number: u16) -> CommitPart {
    let chunks = PART_SIZE / CHUNK_SIZE_MAX;
    let extent = |at: u64| Extent {
        chunk: ChunkId { lease, counter: u64::from(number) * chunks + at },
        group: GroupId(1),
        coding: Coding::SINGLE,
        chunk_length: CHUNK_SIZE_MAX,
        offset: 0,
        length: CHUNK_SIZE_MAX,
        checksum: at,
    };
    let checksum = u64::from(number).to_be_bytes();
    CommitPart {
        bucket: BucketName::new(&bucket.name).expect("a name"),
        key: ObjectKey::new("key").expect("a key"),
        upload,
        number: PartNumber::new(number).expect("a number"),
        lease: Some(lease),
        content: Content::Stored(Manifest { extents: (0..chunks).map(extent).collect() }),
        etag: etag(number),
        checksum: ChecksumValue::new(ChecksumAlgorithm::Crc64nvme, &checksum).expect("eight bytes"),
        missing: Vec::new(),
    }
}

#[test]
fn ten_thousand_parts_of_five_gibibytes_are_one_object() {
    // Each part is a commit of its own.
    let cluster = Cluster::start_in_memory(1);
    let bucket = cluster.gateway(0).bucket();
    // Of its storage classes a gateway hears a moment after it listens, which a database in memory may be ahead of.
    let begun = Instant::now();
    while bucket.put("key", "").send().status == 503 {
        assert!(begun.elapsed() < Duration::from_secs(40), "the storage classes do not become known");
        thread::sleep(Duration::from_millis(2));
    }
    bucket.delete("key").send().expect(204);
    let upload = bucket.upload("key");
    cluster.with_metadata(async |metadata: &dyn Metadata| {
        let lease = metadata.acquire_lease("test").await.expect("a lease").id;
        let id = upload.id.parse().expect("an id");
        let commits = (1..=PARTS).map(|number| metadata.commit_part(part(&bucket, id, lease, number)));
        // Few at a time, as each names 80 chunks: renewals of leases wait behind them.
        let committed = stream::iter(commits).buffer_unordered(4);
        committed.for_each(async |part| assert_eq!(part.expect("it is committed").size, PART_SIZE)).await;
    });

    let (mut listed, mut marker) = (0, "0".to_owned());
    loop {
        let page = upload.list().query("part-number-marker", &marker).ok().xml();
        let sizes = page.all("Part/Size");
        assert!(sizes.iter().all(|size| *size == PART_SIZE.to_string()));
        listed += sizes.len();
        if page.get("IsTruncated") == "false" {
            break;
        }
        marker = page.get("NextPartNumberMarker").to_owned();
    }
    assert_eq!(listed, usize::from(PARTS));

    let tags: Vec<String> = (1..=PARTS).map(|number| etag(number).to_string()).collect();
    let parts: Vec<(u32, &str)> = (1..).zip(tags.iter().map(String::as_str)).collect();
    let complete = |size: u64| upload.complete(&parts).header("x-amz-mp-object-size", size.to_string());
    complete(SIZE - 1).refused(400, "InvalidRequest");
    let done = complete(SIZE).ok().xml();
    assert!(done.get("ETag").ends_with("-10000\""), "{done:?}");

    let head = bucket.head("key").ok();
    assert_eq!(head.get("content-length"), SIZE.to_string());
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=-1".to_owned(), SIZE - 1, SIZE - 1),
        (format!("bytes={}-", SIZE - 1), SIZE - 1, SIZE - 1),
        (format!("bytes=1-{}", u64::MAX), 1, SIZE - 1),
        (format!("bytes={}-{}", PART_SIZE - 1, SIZE - PART_SIZE), PART_SIZE - 1, SIZE - PART_SIZE),
    ] {
        let read = bucket.head("key").header("range", &range).send().expect(206);
        assert_eq!(read.get("content-range"), format!("bytes {first}-{last}/{SIZE}"), "{range}");
        assert_eq!(read.get("content-length"), (last - first + 1).to_string(), "{range}");
    }
    bucket.head("key").header("range", format!("bytes={SIZE}-")).send().expect(416);
    for number in [1, 2, 5_000, 9_999, 10_000] {
        let read = bucket.head("key").query("partNumber", number).send().expect(206);
        let first = (number - 1) * PART_SIZE;
        assert_eq!(read.get("content-range"), format!("bytes {first}-{}/{SIZE}", first + PART_SIZE - 1));
        assert_eq!(read.get("x-amz-mp-parts-count"), PARTS.to_string());
    }
    for list in [bucket.list(), bucket.list_v1()] {
        assert_eq!(list.ok().xml().all("Contents/Size"), [SIZE.to_string()]);
    }
    assert_eq!(bucket.list_versions().ok().xml().all("Version/Size"), [SIZE.to_string()]);
    let attributes =
        bucket.object(Method::GET, "key").raw_query("attributes").header("x-amz-part-number-marker", "9999");
    let attributes = attributes.header("x-amz-object-attributes", "ObjectSize,ObjectParts").ok().xml();
    assert_eq!(attributes.get("ObjectSize"), SIZE.to_string());
    assert_eq!(attributes.get("ObjectParts/PartsCount"), PARTS.to_string());
    let name = BucketName::new(&bucket.name).expect("a name");
    let usage =
        cluster.with_metadata(async |metadata| metadata.get_bucket(&name).await.expect("it is there").usage);
    assert_eq!((usage.objects, usage.object_bytes, usage.version_bytes), (1, SIZE, SIZE));
    bucket.delete("key").send().expect(204);
    let usage =
        cluster.with_metadata(async |metadata| metadata.get_bucket(&name).await.expect("it is there").usage);
    assert_eq!((usage.objects, usage.version_bytes), (0, 0));
}
