//! What was acknowledged is there after a restart.

use harness::{Server, content};

use crate::support::{PART_SIZE_MIN, assert_absent, assert_content, assert_same};

#[test]
fn everything_is_there_after_a_restart() {
    for folders in [1, 6] {
        let mut server = Server::start_with(folders, |_| {});
        let (bucket, versioned) = (server.bucket(), server.bucket());
        versioned.set_versioning("Enabled");
        let contents: Vec<Vec<u8>> = [0, 500, 5000, 100_000, 3_000_000].map(|size| content(size, 1)).into();
        for data in &contents {
            bucket
                .put(&data.len().to_string(), data)
                .header("x-amz-meta-name", "value")
                .unsigned_payload()
                .ok();
        }
        let versions = [
            versioned.put_version("key", "1"),
            versioned.put_version("key", "2"),
            versioned.put_marker("key"),
        ];
        let upload = bucket.upload("uploaded");
        let first = upload.part(1, content(PART_SIZE_MIN, 2)).unsigned_payload().ok().etag().to_owned();

        for _ in 0..2 {
            server.restart();
            let (bucket, versioned) = (bucket.through(server.client()), versioned.through(server.client()));
            for data in &contents {
                let read = bucket.get(&data.len().to_string()).ok();
                assert_same(&read.body, data);
                assert_eq!(read.get("x-amz-meta-name"), "value");
            }
            assert_eq!(bucket.keys().len(), contents.len());
            assert_absent(&versioned, "key");
            let listed = versioned.list_versions().ok().xml();
            assert_eq!(listed.all("DeleteMarker/VersionId"), [versions[2].as_str()]);
            assert_eq!(listed.all("Version/VersionId"), [versions[1].as_str(), &versions[0]]);
        }

        let bucket = bucket.through(server.client());
        let upload = harness::Upload { bucket: bucket.clone(), ..upload };
        let second = upload.put(2, "the end");
        upload.complete(&[(1, &first), (2, &second)]).ok();
        assert_same(
            &bucket.get("uploaded").ok().body,
            &[content(PART_SIZE_MIN, 2), b"the end".to_vec()].concat(),
        );
        bucket.put("0", "overwritten").ok();
        assert_content(&bucket, "0", b"overwritten");
    }
}
