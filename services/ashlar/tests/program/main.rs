//! The program as it is run: services and operators' commands, each a process of its own.

mod access_log;
mod admin_json;
mod admin_words;
mod capabilities;
mod collector;
mod metrics;
mod metrics_export;
mod mutual_tls;
mod operators;
mod process;
mod s3_medium;
mod support;
mod tap;
mod traces;
