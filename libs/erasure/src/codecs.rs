//! One codec per coding, made once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use types::Coding;

use crate::{Codec, Kernel};

/// The codecs of a process. At most one per coding there is, so it needs no bound.
#[derive(Debug)]
pub struct Codecs {
    kernel: Kernel,
    made: Mutex<HashMap<Coding, Arc<Codec>>>,
}

impl Codecs {
    /// No codecs yet; those to come use `kernel`.
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, made: Mutex::new(HashMap::new()) }
    }

    /// The codec of `coding`.
    pub fn get(&self, coding: Coding) -> Arc<Codec> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(coding).or_insert_with(|| Arc::new(Codec::with_kernel(coding, self.kernel))))
    }
}

impl Default for Codecs {
    fn default() -> Self {
        Self::new(Kernel::detect())
    }
}
