// The MinIO SDK for JavaScript: an SDK that is not AWS's. The one argument is the name of a bucket to make.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";

import { Client, CopyConditions } from "minio";

import { all, collect, hash, randomBytes, run, variable } from "./cases.mjs";

const MIB = 2 ** 20;
const bucket = process.argv[2];
const folder = process.argv[3];
const endpoint = new URL(variable("AWS_ENDPOINT_URL"));
const settings = {
  endPoint: endpoint.hostname,
  port: Number(endpoint.port),
  useSSL: endpoint.protocol === "https:",
  region: variable("AWS_REGION"),
  accessKey: variable("AWS_ACCESS_KEY_ID"),
  secretKey: variable("AWS_SECRET_ACCESS_KEY"),
  partSize: 5 * MIB,
};
const client = new Client(settings);
const body = async (name) => collect(await client.getObject(bucket, name));
const refused = (promise, code) => assert.rejects(promise, { code });

await run([
  ["makeBucket, bucketExists, listBuckets", async () => {
    await client.makeBucket(bucket, settings.region);
    assert.equal(await client.bucketExists(bucket), true);
    assert.equal(await client.bucketExists(`${bucket}-not`), false);
    assert.ok((await client.listBuckets()).some((one) => one.name === bucket));
  }],
  ["putObject of bytes with metadata, statObject, getObject", async () => {
    const bytes = randomBytes(300_000);
    await client.putObject(bucket, "known", bytes, bytes.length, { "Content-Type": "text/x-test", "X-Amz-Meta-Colour": "green" });
    const stat = await client.statObject(bucket, "known");
    assert.deepEqual([stat.size, stat.metaData["content-type"], stat.metaData.colour], [bytes.length, "text/x-test", "green"]);
    assert.equal(hash(await body("known")), hash(bytes));
  }],
  ["putObject of a stream of unknown size, in parts", async () => {
    const bytes = randomBytes(13 * MIB + 7);
    const pieces = function* () { for (let at = 0; at < bytes.length; at += 65_000) yield bytes.subarray(at, at + 65_000); };
    const { etag } = await client.putObject(bucket, "unknown", Readable.from(pieces()));
    assert.match(etag, /-3$/);
    assert.equal(hash(await body("unknown")), hash(bytes));
  }],
  ["fPutObject and fGetObject of a file in parts", async () => {
    const bytes = randomBytes(11 * MIB);
    await writeFile(`${folder}/up`, bytes);
    await client.fPutObject(bucket, "file ü +%", `${folder}/up`);
    await client.fGetObject(bucket, "file ü +%", `${folder}/down`);
    assert.equal(hash(await readFile(`${folder}/down`)), hash(bytes));
  }],
  ["getPartialObject", async () => {
    const bytes = await body("known");
    assert.deepEqual(await collect(await client.getPartialObject(bucket, "known", 1000, 77)), bytes.subarray(1000, 1077));
    assert.deepEqual(await collect(await client.getPartialObject(bucket, "known", 299_990)), bytes.subarray(299_990));
  }],
  ["copyObject, also under conditions", async () => {
    await client.copyObject(bucket, "copy", `/${bucket}/known`);
    assert.equal(hash(await body("copy")), hash(await body("known")));
    const conditions = new CopyConditions();
    conditions.setMatchETag('"00000000000000000000000000000000"');
    await refused(client.copyObject(bucket, "copy", `/${bucket}/known`, conditions), "PreconditionFailed");
  }],
  ["an upload that was not finished is listed and removed", async () => {
    const id = await client.initiateNewMultipartUpload(bucket, "unfinished", {});
    assert.ok(id);
    assert.deepEqual((await all(client.listIncompleteUploads(bucket, "", true))).map((one) => one.key), ["unfinished"]);
    await client.removeIncompleteUpload(bucket, "unfinished");
    assert.deepEqual(await all(client.listIncompleteUploads(bucket, "", true)), []);
  }],
  ["presigned: PUT, GET and the form of a POST policy", async () => {
    const bytes = randomBytes(10_000);
    assert.equal((await fetch(await client.presignedPutObject(bucket, "signed", 60), { method: "PUT", body: bytes })).status, 200);
    const got = await fetch(await client.presignedGetObject(bucket, "signed", 60, { "response-content-type": "text/x-other" }));
    assert.equal(got.headers.get("content-type"), "text/x-other");
    assert.equal(hash(Buffer.from(await got.arrayBuffer())), hash(bytes));
    const policy = client.newPostPolicy();
    policy.setBucket(bucket);
    policy.setKey("posted");
    policy.setExpires(new Date(Date.now() + 60_000));
    policy.setContentLengthRange(1, 20_000);
    const { postURL, formData } = await client.presignedPostPolicy(policy);
    const post = async (content) => {
      const form = new FormData();
      for (const [name, value] of Object.entries(formData)) form.append(name, value);
      form.append("file", new Blob([content]), "file");
      return fetch(postURL, { method: "POST", body: form });
    };
    assert.equal((await post(bytes)).status, 204);
    assert.equal(hash(await body("posted")), hash(bytes));
    assert.match(await (await post(randomBytes(20_001))).text(), /<Code>EntityTooLarge<\/Code>/);
    assert.equal(hash(await body("posted")), hash(bytes));
  }],
  ["listObjectsV2 by folder and of everything", async () => {
    await Promise.all(Array.from({ length: 30 }, (_, n) => client.putObject(bucket, `list/${n % 2}/${n}`, `${n}`)));
    const folders = await all(client.listObjectsV2(bucket, "list/", false));
    assert.deepEqual(folders.map((one) => one.prefix), ["list/0/", "list/1/"]);
    const every = await all(client.listObjectsV2(bucket, "list/", true));
    assert.deepEqual(every.map((one) => one.name), Array.from({ length: 30 }, (_, n) => `list/${n % 2}/${n}`).toSorted());
    assert.equal((await all(client.listObjects(bucket, "list/1/", true))).length, 15);
  }],
  ["tags, versioning, policy and lifecycle are kept", async () => {
    await client.setObjectTagging(bucket, "known", { a: "eins", b: "zwei ü" });
    assert.deepEqual((await client.getObjectTagging(bucket, "known")).toSorted((x, y) => (x.Key < y.Key ? -1 : 1)),
      [{ Key: "a", Value: "eins" }, { Key: "b", Value: "zwei ü" }]);
    await client.setBucketVersioning(bucket, { Status: "Enabled" });
    assert.deepEqual(await client.getBucketVersioning(bucket), { Status: "Enabled" });
    const statement = { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: `arn:aws:s3:::${bucket}/list/*` };
    const policy = { Version: "2012-10-17", Statement: [statement] };
    await client.setBucketPolicy(bucket, JSON.stringify(policy));
    assert.deepEqual(JSON.parse(await client.getBucketPolicy(bucket)), policy);
    const rule = { ID: "old", Filter: { Prefix: "old/" }, Status: "Enabled", Expiration: { Days: 9 } };
    await client.setBucketLifecycle(bucket, { Rule: rule });
    assert.deepEqual((await client.getBucketLifecycle(bucket)).Rule, rule);
  }],
  ["errors have S3's codes", async () => {
    await refused(client.getObject(bucket, "not there"), "NoSuchKey");
    await refused(client.statObject(bucket, "not there"), "NotFound");
    await refused(client.getObject(`${bucket}-not`, "known"), "NoSuchBucket");
    await refused(client.removeBucket(bucket), "BucketNotEmpty");
    await refused(new Client({ ...settings, secretKey: "wrong" }).getObject(bucket, "known"), "SignatureDoesNotMatch");
    await refused(new Client({ ...settings, accessKey: "nobody" }).getObject(bucket, "known"), "InvalidAccessKeyId");
  }],
  ["removeObjects and removeObject of versions empty the bucket", async () => {
    await client.putObject(bucket, "known", "a second version");
    const versions = await all(client.listObjects(bucket, "", true, { IncludeVersion: true }));
    assert.equal(versions.filter((one) => one.name === "known").length, 2);
    const [one, ...others] = versions.map(({ name, versionId }) => ({ name, versionId }));
    await client.removeObject(bucket, one.name, { versionId: one.versionId });
    const outcome = await client.removeObjects(bucket, others);
    assert.deepEqual(outcome.filter((entry) => entry?.Error ?? entry?.Code), []);
    assert.deepEqual(await all(client.listObjects(bucket, "", true, { IncludeVersion: true })), []);
    await client.removeBucket(bucket);
    assert.equal(await client.bucketExists(bucket), false);
  }],
]);
