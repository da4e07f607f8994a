//! Uses the AWS SDK for Rust, with its default settings, against the endpoint in `AWS_ENDPOINT_URL`.
//!
//! Prints `ok NAME` or `FAIL NAME: reason` for each case and `done` at the end; ends with code 1 when a case failed.
//! The one argument is the name of a bucket to make. Credentials come from `AWS_ACCESS_KEY_ID` and
//! `AWS_SECRET_ACCESS_KEY`.

mod cases;
mod check;

use std::{env, process::ExitCode};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
};

use crate::check::{Failure, Report};

#[tokio::main]
async fn main() -> ExitCode {
    let (client, bucket) = match setup() {
        Ok(found) => found,
        Err(failure) => {
            eprintln!("test-aws-sdk: {failure}");
            return ExitCode::from(2);
        }
    };
    let mut report = Report::default();
    cases::run(&client, &bucket, &mut report).await;
    println!("done");
    if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A client for the endpoint in the environment, without retries, so that no failure is papered over.
fn setup() -> Result<(Client, String), Failure> {
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let bucket = env::args().nth(1).ok_or("usage: test-aws-sdk BUCKET")?;
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        None,
        None,
        "environment",
    );
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(variable("AWS_ENDPOINT_URL")?)
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .force_path_style(true)
        .build();
    Ok((Client::from_conf(config), bucket))
}
