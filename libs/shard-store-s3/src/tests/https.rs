//! A remote server that speaks HTTPS under an authority of its own.

use harness::{Certificate, Server};

use super::{OpenError, Remote, S3Store, Sample, ShardStore, on_a_thread, put, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_by_its_file_and_no_other_one_is() {
    let (server, name, certificate, other) = on_a_thread(|| {
        let (certificate, other) = (Certificate::make(), Certificate::make());
        let server = Server::start_with(1, |config| {
            config.front.tls_cert = Some(certificate.chain());
            config.front.tls_key = Some(certificate.key());
        });
        let name = server.client().with_tls(certificate.trust()).bucket().name;
        (server, name, certificate, other)
    })
    .await;
    let address = server.client().host();
    let remote = Remote { env: env::Env::real(), address, bucket: name, _server: server };
    let options = |ca: &Certificate| {
        let mut options = remote.options("p");
        let (address, bucket, ca) = (&remote.address, &remote.bucket, ca.chain());
        let text = format!("s3://{bucket}/p?endpoint=https://{address}&capacity=64MiB&ca={}", ca.display());
        options.location = text.parse().unwrap();
        options
    };
    let refused = S3Store::open(&remote.env, options(&other)).await;
    assert!(matches!(refused, Err(OpenError::Remote(_))), "{refused:?}");

    let store = S3Store::open(&remote.env, options(&certificate)).await.unwrap();
    let sample = Sample::single(1, 1, 100_000);
    assert_eq!(put(&store, &sample).await, Ok(()));
    assert_eq!(read(&store, &sample).await, Ok(()));
    store.close().await;
    let store = S3Store::open(&remote.env, options(&certificate)).await.unwrap();
    assert_eq!(read(&store, &sample).await, Ok(()));
    store.close().await;
}
