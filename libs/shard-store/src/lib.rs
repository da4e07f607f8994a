//! Keeps shards on a medium: one trait, one implementation per medium, one conformance suite.
