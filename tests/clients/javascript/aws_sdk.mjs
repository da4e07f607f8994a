// The AWS SDK for JavaScript, with its default settings but for retries, which are off so that no failure is papered over.
// The one argument is the name of a bucket to make.

import assert from "node:assert/strict";
import { Readable } from "node:stream";

import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand,
  DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, GetObjectTaggingCommand, HeadBucketCommand,
  HeadObjectCommand, ListMultipartUploadsCommand, ListObjectVersionsCommand, ListPartsCommand, NoSuchBucket, NoSuchKey, NotFound,
  PutBucketVersioningCommand, PutObjectCommand, PutObjectTaggingCommand, S3Client, UploadPartCommand, UploadPartCopyCommand,
  paginateListBuckets, paginateListObjectsV2, waitUntilBucketExists, waitUntilObjectNotExists,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

import { all, collect, hash, randomBytes, run, variable } from "./cases.mjs";

const MIB = 2 ** 20;
const Bucket = process.argv[2];
const settings = { endpoint: variable("AWS_ENDPOINT_URL"), region: variable("AWS_REGION"), forcePathStyle: true, maxAttempts: 1 };
const s3 = new S3Client(settings);
// For URLs that others upload by: what they will send is not known yet, so there is no checksum of it to sign.
const plain = new S3Client({ ...settings, requestChecksumCalculation: "WHEN_REQUIRED" });
const send = (Command, input) => s3.send(new Command({ Bucket, ...input }));
const body = async (Key, more = {}) => Buffer.from(await (await send(GetObjectCommand, { Key, ...more })).Body.transformToByteArray());

/** Fails unless the promise is refused with a code and a status. */
async function refused(promise, name, status) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.name, name);
    assert.equal(error.$metadata.httpStatusCode, status);
    assert.ok(status === 304 || error.$metadata.requestId, "no request id");
    return true;
  });
}

await run([
  ["a bucket is made, waited for and listed", async () => {
    await send(CreateBucketCommand);
    await waitUntilBucketExists({ client: s3, maxWaitTime: 10 }, { Bucket });
    const pages = await all(paginateListBuckets({ client: s3 }, { Prefix: Bucket }));
    assert.deepEqual(pages.flatMap((page) => page.Buckets ?? []).map((one) => one.Name), [Bucket]);
  }],
  ["an object comes back with its metadata, type and checksum", async () => {
    const bytes = randomBytes(100_000);
    const put = await send(PutObjectCommand, {
      Key: "one", Body: bytes, ContentType: "text/x-test", CacheControl: "max-age=7", Metadata: { colour: "green", "two-words": "a b" },
    });
    const got = await send(GetObjectCommand, { Key: "one", ChecksumMode: "ENABLED" });
    assert.equal(hash(await collect(got.Body)), hash(bytes));
    assert.deepEqual([got.ContentType, got.CacheControl, got.ContentLength], ["text/x-test", "max-age=7", bytes.length]);
    assert.deepEqual(got.Metadata, { colour: "green", "two-words": "a b" });
    assert.ok(put.ChecksumCRC32, "the SDK sent no CRC32");
    assert.equal(got.ChecksumCRC32, put.ChecksumCRC32);
  }],
  ["each checksum algorithm is sent, kept and verified", async () => {
    const bytes = randomBytes(50_000);
    // CRC64NVME needs a package of native code, which few install.
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256"]) {
      const put = await send(PutObjectCommand, { Key: "sum", Body: bytes, ChecksumAlgorithm });
      const head = await send(HeadObjectCommand, { Key: "sum", ChecksumMode: "ENABLED" });
      assert.ok(head[`Checksum${ChecksumAlgorithm}`], `no ${ChecksumAlgorithm}`);
      assert.equal(head[`Checksum${ChecksumAlgorithm}`], put[`Checksum${ChecksumAlgorithm}`]);
      assert.equal(hash(await body("sum", { ChecksumMode: "ENABLED" })), hash(bytes));
    }
    await refused(send(PutObjectCommand, { Key: "sum", Body: "other", ChecksumSHA256: hash("x").slice(0, 43) + "=" }), "InvalidRequest", 400);
    await refused(send(PutObjectCommand, { Key: "sum", Body: "other", ChecksumCRC32: "AAAAAA==" }), "BadDigest", 400);
    assert.equal(hash(await body("sum")), hash(bytes));
  }],
  ["keys that need escaping come back as they are", async () => {
    const keys = ["ü-ß-🦀", "a b+c%20d", "a&b=c;d,e", "'\"<>\\", "./../x", "/double", "end/", "\u0001control"].map((name) => `esc/${name}`);
    for (const Key of keys) await send(PutObjectCommand, { Key, Body: Key });
    for (const Key of keys) assert.equal((await body(Key)).toString(), Key);
    // A control character is in no XML document; clients ask for listings in which names are encoded.
    const listed = (await all(paginateListObjectsV2({ client: s3, pageSize: 3 }, { Bucket, Prefix: "esc/", EncodingType: "url" })))
      .flatMap((page) => page.Contents ?? []).map((one) => decodeURIComponent(one.Key.replaceAll("+", " ")));
    assert.deepEqual(listed.toSorted(), keys.toSorted());
  }],
  ["ranges", async () => {
    const bytes = randomBytes(3 * MIB + 17);
    await send(PutObjectCommand, { Key: "ranged", Body: bytes });
    for (const [Range, from, to] of [["0-0", 0, 1], ["1048570-1048590", 1048570, 1048591], ["-19", -19], ["3145700-", 3145700]]) {
      assert.equal(hash(await body("ranged", { Range: `bytes=${Range}` })), hash(bytes.subarray(from, to)), Range);
    }
    await refused(send(GetObjectCommand, { Key: "ranged", Range: `bytes=${bytes.length}-` }), "InvalidRange", 416);
  }],
  ["conditional puts: create once, replace what was read, and lose no update in a race", async () => {
    const { ETag } = await send(PutObjectCommand, { Key: "state", Body: "0", IfNoneMatch: "*" });
    await refused(send(PutObjectCommand, { Key: "state", Body: "x", IfNoneMatch: "*" }), "PreconditionFailed", 412);
    await refused(send(PutObjectCommand, { Key: "state", Body: "x", IfMatch: '"00000000000000000000000000000000"' }), "PreconditionFailed", 412);
    await refused(send(GetObjectCommand, { Key: "state", IfNoneMatch: ETag }), "Unknown", 304);
    const add = async () => {
      for (let attempt = 0; attempt < 500; attempt++) {
        const seen = await send(GetObjectCommand, { Key: "state" });
        const Body = String(Number(await seen.Body.transformToString()) + 1);
        try {
          return await send(PutObjectCommand, { Key: "state", Body, IfMatch: seen.ETag });
        } catch (error) {
          if (!["PreconditionFailed", "ConditionalRequestConflict"].includes(error.name)) throw error;
        }
      }
      throw new Error("never got through");
    };
    await Promise.all(Array.from({ length: 12 }, add));
    assert.equal((await body("state")).toString(), "12");
  }],
  ["Upload of 32 MiB from a stream of unknown length, eight parts at once", async () => {
    const bytes = randomBytes(32 * MIB + 5);
    const seen = [];
    const pieces = function* () { for (let at = 0; at < bytes.length; at += 77_777) yield bytes.subarray(at, at + 77_777); };
    const params = { Bucket, Key: "streamed", Body: Readable.from(pieces()) };
    const upload = new Upload({ client: s3, params, partSize: 5 * MIB, queueSize: 8 });
    upload.on("httpUploadProgress", (progress) => seen.push(progress.loaded));
    const done = await upload.done();
    assert.match(done.ETag, /-7"$/);
    assert.equal(Math.max(...seen), bytes.length);
    const got = await send(GetObjectCommand, { Key: "streamed", ChecksumMode: "ENABLED" });
    assert.equal(hash(await collect(got.Body)), hash(bytes));
    assert.equal(got.ChecksumCRC32, done.ChecksumCRC32);
    const part = await send(GetObjectCommand, { Key: "streamed", PartNumber: 2 });
    assert.equal(part.PartsCount, 7);
    assert.equal(hash(await collect(part.Body)), hash(bytes.subarray(5 * MIB, 10 * MIB)));
  }],
  ["Upload of what fits one request, and of nothing", async () => {
    for (const bytes of [randomBytes(1000), Buffer.alloc(0)]) {
      await new Upload({ client: s3, params: { Bucket, Key: "small", Body: Readable.from([bytes]) } }).done();
      assert.equal(hash(await body("small")), hash(bytes));
    }
  }],
  ["an Upload that is aborted leaves no object and no upload", async () => {
    const endless = async function* () { for (let i = 0; i < 200; i++) yield randomBytes(MIB); };
    const upload = new Upload({ client: s3, params: { Bucket, Key: "aborted", Body: Readable.from(endless()) }, partSize: 5 * MIB });
    upload.on("httpUploadProgress", () => upload.abort());
    await assert.rejects(upload.done(), { name: "AbortError" });
    await refused(send(GetObjectCommand, { Key: "aborted" }), "NoSuchKey", 404);
    // Whether the SDK aborts the upload itself depends on what was in flight.
    for (const { Key, UploadId } of (await send(ListMultipartUploadsCommand)).Uploads ?? []) {
      await send(AbortMultipartUploadCommand, { Key, UploadId }).catch((error) => assert.equal(error.name, "NoSuchUpload"));
    }
    assert.deepEqual((await send(ListMultipartUploadsCommand)).Uploads ?? [], []);
  }],
  ["multipart by hand: parts in any order, a copied range, parts in pages, a full-object checksum", async () => {
    const first = randomBytes(5 * MIB), last = randomBytes(1234);
    await send(PutObjectCommand, { Key: "source", Body: first });
    const { UploadId } = await send(CreateMultipartUploadCommand, { Key: "parts", ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT" });
    const three = await send(UploadPartCommand, { Key: "parts", UploadId, PartNumber: 3, Body: last });
    const one = await send(UploadPartCommand, { Key: "parts", UploadId, PartNumber: 1, Body: first });
    const { CopyPartResult: two } = await send(UploadPartCopyCommand, {
      Key: "parts", UploadId, PartNumber: 2, CopySource: `${Bucket}/source`, CopySourceRange: `bytes=0-${5 * MIB - 1}`,
    });
    // Not by the SDK's paginator, which never ends: S3 gives a marker with the last page too, and it does not look at IsTruncated.
    const listed = [];
    for (let page = { IsTruncated: true }; page.IsTruncated; listed.push(...page.Parts)) {
      page = await send(ListPartsCommand, { Key: "parts", UploadId, MaxParts: 1, PartNumberMarker: page.NextPartNumberMarker });
    }
    assert.deepEqual(listed.map((part) => [part.PartNumber, part.Size, part.ETag]),
      [[1, 5 * MIB, one.ETag], [2, 5 * MIB, two.ETag], [3, 1234, three.ETag]]);
    const finish = (parts) => send(CompleteMultipartUploadCommand, { Key: "parts", UploadId, MultipartUpload: { Parts: parts } });
    const entry = (PartNumber, part) => ({ PartNumber, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32 });
    await refused(finish([entry(2, two), entry(1, one)]), "InvalidPartOrder", 400);
    await refused(finish([entry(1, three)]), "InvalidPart", 400);
    const done = await finish([entry(1, one), entry(2, two), entry(3, three)]);
    assert.equal(done.ChecksumType, "FULL_OBJECT");
    const whole = await send(PutObjectCommand, { Key: "whole", Body: Buffer.concat([first, first, last]) });
    assert.equal(done.ChecksumCRC32, whole.ChecksumCRC32);
    assert.equal(hash(await body("parts")), hash(Buffer.concat([first, first, last])));
    await refused(send(UploadPartCommand, { Key: "parts", UploadId, PartNumber: 4, Body: "late" }), "NoSuchUpload", 404);
  }],
  ["presigned: put with fetch, get with fetch and other headers, a part, and an expired one", async () => {
    const bytes = randomBytes(200_000);
    const sign = (Command, input, more) => getSignedUrl(plain, new Command({ Bucket, ...input }), { expiresIn: 60, ...more });
    const put = await fetch(await sign(PutObjectCommand, { Key: "signed/ü +" }), { method: "PUT", body: bytes });
    assert.equal(put.status, 200, await put.text());
    const got = await fetch(await sign(GetObjectCommand, { Key: "signed/ü +", ResponseContentDisposition: 'attachment; filename="x"' }));
    assert.equal(hash(Buffer.from(await got.arrayBuffer())), hash(bytes));
    assert.equal(got.headers.get("content-disposition"), 'attachment; filename="x"');
    const { UploadId } = await send(CreateMultipartUploadCommand, { Key: "signed/parts" });
    const part = await fetch(await sign(UploadPartCommand, { Key: "signed/parts", UploadId, PartNumber: 1 }), { method: "PUT", body: bytes });
    const Parts = [{ PartNumber: 1, ETag: part.headers.get("etag") }];
    await send(CompleteMultipartUploadCommand, { Key: "signed/parts", UploadId, MultipartUpload: { Parts } });
    assert.equal(hash(await body("signed/parts")), hash(bytes));
    const old = await fetch(await sign(GetObjectCommand, { Key: "signed/ü +" }, { signingDate: new Date(Date.now() - 120_000) }));
    assert.equal(old.status, 403);
    assert.match(await old.text(), /<Code>AccessDenied<\/Code>/);
    const other = (await sign(GetObjectCommand, { Key: "one" })).replace("/one?", "/ranged?");
    assert.match(await (await fetch(other)).text(), /<Code>SignatureDoesNotMatch<\/Code>/);
  }],
  ["presigned by default, with the checksum of nothing in the URL's query, which S3 heeds in headers only", async () => {
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "signed/default" }), { expiresIn: 60 });
    assert.match(url, /x-amz-checksum-crc32=AAAAAA%3D%3D/);
    const bytes = randomBytes(1000);
    const put = await fetch(url, { method: "PUT", body: bytes });
    assert.equal(put.status, 200, await put.text());
    assert.equal(hash(await body("signed/default")), hash(bytes));
  }],
  ["paginators: 45 keys in pages of 10, by prefix and delimiter, after a key", async () => {
    const keys = Array.from({ length: 45 }, (_, n) => `list/${n % 3}/${String(n).padStart(3, "0")}`).toSorted();
    await Promise.all(keys.map((Key) => send(PutObjectCommand, { Key, Body: Key })));
    const pages = await all(paginateListObjectsV2({ client: s3, pageSize: 10 }, { Bucket, Prefix: "list/" }));
    assert.deepEqual(pages.map((page) => page.KeyCount), [10, 10, 10, 10, 5]);
    assert.deepEqual(pages.flatMap((page) => page.Contents.map((one) => one.Key)), keys);
    const folders = await all(paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Prefix: "list/", Delimiter: "/" }));
    assert.deepEqual(folders.flatMap((page) => page.CommonPrefixes ?? []).map((one) => one.Prefix), ["list/0/", "list/1/", "list/2/"]);
    const after = await all(paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: "list/", StartAfter: keys[39] }));
    assert.deepEqual(after.flatMap((page) => page.Contents.map((one) => one.Key)), keys.slice(40));
  }],
  ["copies: metadata kept and replaced, tags", async () => {
    await send(PutObjectTaggingCommand, { Key: "one", Tagging: { TagSet: [{ Key: "a", Value: "1 ü" }] } });
    await send(CopyObjectCommand, { Key: "copy", CopySource: `${Bucket}/one` });
    const copy = await send(HeadObjectCommand, { Key: "copy" });
    assert.deepEqual([copy.ContentType, copy.Metadata.colour, copy.TagCount], ["text/x-test", "green", 1]);
    assert.deepEqual((await send(GetObjectTaggingCommand, { Key: "copy" })).TagSet, [{ Key: "a", Value: "1 ü" }]);
    const directives = { MetadataDirective: "REPLACE", TaggingDirective: "REPLACE" };
    await send(CopyObjectCommand, { Key: "copy", CopySource: `${Bucket}/one`, Metadata: { new: "yes" }, ...directives });
    const replaced = await send(HeadObjectCommand, { Key: "copy" });
    assert.deepEqual([replaced.Metadata, replaced.TagCount], [{ new: "yes" }, undefined]);
    assert.equal(hash(await body("copy")), hash(await body("one")));
    await refused(send(CopyObjectCommand, { Key: "copy", CopySource: `${Bucket}/one`, CopySourceIfMatch: '"0"' }), "PreconditionFailed", 412);
  }],
  ["errors are the SDK's classes", async () => {
    await assert.rejects(send(GetObjectCommand, { Key: "not there" }), NoSuchKey);
    await assert.rejects(send(HeadObjectCommand, { Key: "not there" }), NotFound);
    await assert.rejects(send(GetObjectCommand, { Bucket: `${Bucket}-not`, Key: "one" }), NoSuchBucket);
    await assert.rejects(send(HeadBucketCommand, { Bucket: `${Bucket}-not` }), NotFound);
    await refused(send(DeleteBucketCommand), "BucketNotEmpty", 409);
    await refused(send(PutObjectCommand, { Key: "x".repeat(1025), Body: "" }), "KeyTooLongError", 400);
    const stranger = new S3Client({ ...settings, credentials: { accessKeyId: "nobody", secretAccessKey: "nothing" } });
    await refused(stranger.send(new GetObjectCommand({ Bucket, Key: "one" })), "InvalidAccessKeyId", 403);
    const wrong = new S3Client({ ...settings, credentials: { accessKeyId: variable("AWS_ACCESS_KEY_ID"), secretAccessKey: "wrong" } });
    await refused(wrong.send(new GetObjectCommand({ Bucket, Key: "one" })), "SignatureDoesNotMatch", 403);
  }],
  ["versions, delete markers, and a bucket that is emptied by batches", async () => {
    await send(PutBucketVersioningCommand, { VersioningConfiguration: { Status: "Enabled" } });
    const ids = [];
    for (const Body of ["first", "second"]) ids.push((await send(PutObjectCommand, { Key: "versioned", Body })).VersionId);
    assert.equal((await send(DeleteObjectCommand, { Key: "versioned" })).DeleteMarker, true);
    await waitUntilObjectNotExists({ client: s3, maxWaitTime: 10 }, { Bucket, Key: "versioned" });
    assert.equal((await body("versioned", { VersionId: ids[0] })).toString(), "first");
    const { Versions, DeleteMarkers } = await send(ListObjectVersionsCommand, { Prefix: "versioned" });
    assert.deepEqual([Versions.map((one) => one.VersionId), DeleteMarkers.length], [ids.toReversed(), 1]);
    for (;;) {
      const page = await send(ListObjectVersionsCommand, { MaxKeys: 40, EncodingType: "url" });
      const Objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]
        .map(({ Key, VersionId }) => ({ Key: decodeURIComponent(Key.replaceAll("+", " ")), VersionId }))
        // A control character is in no XML document, so this key is deleted alone.
        .filter(({ Key }) => !Key.includes("\u0001"));
      if (Objects.length === 0) break;
      const { Errors, Deleted } = await send(DeleteObjectsCommand, { Delete: { Objects } });
      assert.deepEqual([Errors ?? [], Deleted.length], [[], Objects.length]);
    }
    await send(DeleteObjectCommand, { Key: "esc/\u0001control", VersionId: "null" });
    await send(DeleteBucketCommand);
    await assert.rejects(send(HeadBucketCommand), NotFound);
  }],
]);
