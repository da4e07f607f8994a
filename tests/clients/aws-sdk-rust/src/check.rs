//! Counts cases and states what was wanted.

use std::{error::Error, fmt::Debug};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Why a case failed.
pub(crate) type Failure = Box<dyn Error>;

/// How many cases failed.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) failed: u32,
}

impl Report {
    /// Prints the outcome of a case and counts it.
    pub(crate) fn case(&mut self, name: &str, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(failure) => {
                self.failed += 1;
                println!("FAIL {name}: {}", chain(failure.as_ref()));
            }
        }
    }
}

/// Fails with both values when they differ.
pub(crate) fn expect<T: PartialEq + Debug>(what: &str, actual: T, wanted: T) -> Result<(), Failure> {
    if actual == wanted { Ok(()) } else { Err(format!("{what}: got {actual:?}, wanted {wanted:?}").into()) }
}

/// Fails unless the call was refused with this S3 error code.
pub(crate) fn refused<T, E, R>(
    what: &str,
    outcome: Result<T, SdkError<E, R>>,
    code: &str,
) -> Result<(), Failure>
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    match outcome {
        Ok(_) => Err(format!("{what}: was accepted, wanted {code}").into()),
        Err(error) => expect(what, error.code(), Some(code)),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text.replace('\n', " ")
}
