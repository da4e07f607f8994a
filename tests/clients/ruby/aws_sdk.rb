# The AWS SDK for Ruby with its default settings but for retries, which are off so that no failure is papered over.
# The one argument is the name of a bucket to make. Prints a line for each case: `ok NAME`, or `FAIL NAME: reason` as JSON.

require "aws-sdk-s3"
require "digest"
require "json"
require "net/http"
require "securerandom"
require "stringio"
require "tempfile"
$stdout.sync = true

BUCKET = ARGV.fetch(0)
ENDPOINT = ENV.fetch("AWS_ENDPOINT_URL")
MIB = 2**20

CLIENT = Aws::S3::Client.new(endpoint: ENDPOINT, force_path_style: true, retry_limit: 0)
RESOURCE = Aws::S3::Resource.new(client: CLIENT)

# Runs the block as one case; a failure is printed and the program goes on.
def check(name)
  yield
  puts "ok #{name}"
rescue StandardError => e
  puts "FAIL #{name}: #{JSON.generate("#{e.class}: #{e.message}\n#{e.backtrace.first(3).join("\n")}")}"
end

# Fails unless both are equal.
def expect(found, wanted, what = "value")
  raise "#{what}: got #{found.inspect[0, 300]}, wanted #{wanted.inspect[0, 300]}" unless found == wanted
end

# Fails unless the block ends in an error of this class.
def refused(kind)
  yield
rescue kind
  nil
else
  raise "was accepted, wanted #{kind}"
end

def object(key)
  RESOURCE.bucket(BUCKET).object(key)
end

def body_of(key, **more)
  CLIENT.get_object(bucket: BUCKET, key: key, **more).body.read.b
end

def put(key, body, **more)
  CLIENT.put_object(bucket: BUCKET, key: key, body: body, **more)
end

# A request to a presigned address by another client than the SDK.
def http(request)
  uri = request.uri
  Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https", ca_file: ENV["AWS_CA_BUNDLE"]) { |one| one.request(request) }
end

check("create_bucket, wait_until exists, list_buckets") do
  CLIENT.create_bucket(bucket: BUCKET)
  CLIENT.wait_until(:bucket_exists, bucket: BUCKET)
  expect(RESOURCE.buckets.map(&:name).include?(BUCKET), true)
end
check("put_object, head_object and get_object agree") do
  body = SecureRandom.bytes(300_000)
  put = put("one", body, metadata: { "colour" => "blue" }, content_type: "text/x-test", tagging: "team=a%2Bb")
  head = CLIENT.head_object(bucket: BUCKET, key: "one")
  expect([head.content_length, head.etag, head.metadata, head.content_type], [body.size, put.etag, { "colour" => "blue" }, "text/x-test"])
  expect(put.etag, %("#{Digest::MD5.hexdigest(body)}"), "ETag")
  expect(body_of("one") == body, true, "the same bytes")
  expect(CLIENT.get_object_tagging(bucket: BUCKET, key: "one").tag_set.map(&:to_h), [{ key: "team", value: "a+b" }])
end
check("a range, and one behind the end") do
  put("range", "0123456789")
  expect(body_of("range", range: "bytes=3-5"), "345")
  refused(Aws::S3::Errors::InvalidRange) { body_of("range", range: "bytes=10-") }
end
%w[CRC32 SHA1 SHA256].each do |algorithm|
  check("put_object with #{algorithm} is verified, and shown") do
    body = SecureRandom.bytes(MIB + 1)
    put("other", "other", checksum_algorithm: algorithm)
    put("sum", StringIO.new(body), checksum_algorithm: algorithm)
    got = CLIENT.get_object(bucket: BUCKET, key: "sum", checksum_mode: "ENABLED")
    field = :"checksum_#{algorithm.downcase}"
    other = CLIENT.get_object(bucket: BUCKET, key: "other", checksum_mode: "ENABLED")[field]
    expect(got[field].to_s.empty?, false, "no checksum")
    expect(got.body.read.b == body, true, "the same bytes")
    refused(Aws::S3::Errors::BadDigest) { put("sum", body, field => other) }
  end
end
check("upload_file in parts, download_file in ranges") do
  Tempfile.create("up") do |file|
    file.binmode
    file.write(SecureRandom.bytes(23 * MIB + 5))
    file.flush
    expect(object("file").upload_file(file.path, multipart_threshold: 5 * MIB), true)
    back = "#{file.path}.down"
    object("file").download_file(back, mode: "get_range", chunk_size: 6 * MIB, thread_count: 4)
    expect(Digest::SHA256.file(back).hexdigest, Digest::SHA256.file(file.path).hexdigest, "SHA-256")
    expect(object("file").etag.include?("-"), true, "it has parts")
    File.delete(back)
  end
end
check("upload_stream of unknown size") do
  body = SecureRandom.bytes(12 * MIB + 1)
  object("stream").upload_stream(thread_count: 3) do |stream|
    stream.binmode
    (0...body.size).step(MIB) { |at| stream << body[at, MIB] }
  end
  expect(body_of("stream") == body, true, "the same bytes")
end
check("an upload_stream that breaks leaves no object and no upload") do
  refused(Aws::S3::MultipartUploadError) { object("broken").upload_stream { |_| raise "broken" } }
  expect(object("broken").exists?, false)
  expect(CLIENT.list_multipart_uploads(bucket: BUCKET).uploads, [])
end
check("copy_from, and multipart_copy") do
  expect(object("copy of one").copy_from(object("one")).copy_object_result.etag, object("one").etag)
  object("copy of file").copy_from(object("file"), multipart_copy: true, content_length: object("file").content_length)
  expect(Digest::SHA256.hexdigest(body_of("copy of file")), Digest::SHA256.hexdigest(body_of("file")), "SHA-256")
end
check("presigned_url of GET and PUT, presigned_post") do
  got = http(Net::HTTP::Get.new(URI(object("range").presigned_url(:get, response_content_type: "text/x-other"))))
  expect([got.code, got.body, got["content-type"]], ["200", "0123456789", "text/x-other"])
  request = Net::HTTP::Put.new(URI(object("by url").presigned_url(:put, content_type: "text/x-url")))
  request["content-type"] = "text/x-url"
  request.body = "by url"
  expect(http(request).code, "200")
  expect(body_of("by url"), "by url")
  post = RESOURCE.bucket(BUCKET).presigned_post(key: "by form", content_length_range: 1..100, success_action_status: "201")
  form = Net::HTTP::Post.new(URI(post.url))
  form.set_form(post.fields.to_a + [["file", "by form"]], "multipart/form-data")
  expect(http(form).code, "201")
  expect(body_of("by form"), "by form")
end
check("list_objects_v2 in pages, with a delimiter and odd keys") do
  keys = (0...25).map { |number| format("list/%<folder>d/%<number>02d", folder: number % 3, number: number) } + ["list/ä +%&\u{1F980}"]
  keys.each { |key| put(key, key) }
  found = CLIENT.list_objects_v2(bucket: BUCKET, prefix: "list/", max_keys: 7).flat_map { |page| page.contents.map(&:key) }
  expect(found, keys.sort_by(&:b))
  page = CLIENT.list_objects_v2(bucket: BUCKET, prefix: "list/", delimiter: "/")
  expect(page.common_prefixes.map(&:prefix), %w[list/0/ list/1/ list/2/])
  expect(body_of(keys.last), keys.last.b)
end
check("conditions of reads") do
  etag = object("range").etag
  refused(Aws::S3::Errors::NotModified) { body_of("range", if_none_match: etag) }
  refused(Aws::S3::Errors::PreconditionFailed) { body_of("range", if_match: '"other"') }
end
check("versions, a delete marker, and what was before it") do
  CLIENT.put_bucket_versioning(bucket: BUCKET, versioning_configuration: { status: "Enabled" })
  versions = %w[first second].map { |body| put("versions", body).version_id }
  expect(object("versions").delete.delete_marker, true)
  refused(Aws::S3::Errors::NoSuchKey) { body_of("versions") }
  expect(versions.map { |id| body_of("versions", version_id: id) }, %w[first second])
  expect(RESOURCE.bucket(BUCKET).object_versions(prefix: "versions").count, 3)
end
check("client-side encryption: the key's envelope comes back with the object") do
  secret = Aws::S3::EncryptionV2::Client.new(client: CLIENT, encryption_key: SecureRandom.bytes(32), key_wrap_schema: :aes_gcm,
                                             content_encryption_schema: :aes_gcm_no_padding, security_profile: :v2)
  secret.put_object(bucket: BUCKET, key: "secret", body: "a secret")
  expect(secret.get_object(bucket: BUCKET, key: "secret").body.read, "a secret")
  expect(body_of("secret") == "a secret", false, "is encrypted")
end
check("errors have their classes") do
  refused(Aws::S3::Errors::NoSuchKey) { body_of("missing") }
  refused(Aws::S3::Errors::NotFound) { CLIENT.head_object(bucket: BUCKET, key: "missing") }
  refused(Aws::S3::Errors::NoSuchBucket) { CLIENT.list_objects_v2(bucket: "#{BUCKET}-none") }
  refused(Aws::S3::Errors::BucketNotEmpty) { CLIENT.delete_bucket(bucket: BUCKET) }
end
check("the bucket is emptied by batches and deleted") do
  RESOURCE.bucket(BUCKET).object_versions.batch_delete!
  CLIENT.delete_bucket(bucket: BUCKET)
  CLIENT.wait_until(:bucket_not_exists, bucket: BUCKET)
end
puts "done"
