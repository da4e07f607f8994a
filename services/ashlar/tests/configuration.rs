//! `docs/configuration.md` is made from the command line's own descriptions. To make it anew:
//!
//! ```sh
//! ASHLAR_WRITE_DOCS=1 cargo test -p ashlar --test configuration
//! ```

use std::fmt::Write;

use clap::{Arg, Command};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");

const HEAD: &str = "\
# Configuration

Every setting of every service. A setting is a flag or an environment variable; the flag wins. Everything is checked before the first socket
opens, and unknown flags are refused. Made from the command line's own descriptions by a test; do not edit.
";

fn describe(argument: &Arg, out: &mut String) {
    let name = match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.get_value_names().map_or_else(String::new, |names| names[0].to_string()),
    };
    let variable = argument.get_env().map_or(String::new(), |name| format!("`{}`", name.to_string_lossy()));
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if defaults.is_empty() { String::new() } else { format!("`{}`", defaults.join(",")) };
    let help =
        argument.get_long_help().or(argument.get_help()).map_or(String::new(), |help| help.to_string());
    let required = if argument.is_required_set() { " Required." } else { "" };
    let help = help.replace('\n', " ").replace('|', "\\|");
    writeln!(out, "| `{name}` | {variable} | {default} | {}.{required} |", help.trim_end_matches('.'))
        .expect("a string takes it");
}

fn describe_command(command: &Command, out: &mut String) {
    let about = command.get_about().map_or(String::new(), ToString::to_string);
    write!(
        out,
        "\n## ashlar {}\n\n{about}\n\n| setting | variable | default | meaning |\n|---|---|---|---|\n",
        command.get_name()
    )
    .expect("a string takes it");
    command.get_arguments().filter(|a| a.get_id() != "help").for_each(|argument| describe(argument, out));
}

#[test]
fn domains_of_websites_need_a_listener_for_them() {
    let parse = |more: &[&str]| {
        let words = ["ashlar", "server", "data", "--website-domain=website.example.com"];
        ashlar::command().try_get_matches_from(words.iter().chain(more))
    };
    assert!(parse(&["--website-address=127.0.0.1:9080"]).is_ok());
    let refused = parse(&[]).expect_err("a setting without an effect").to_string();
    assert!(refused.contains("--website-address"), "{refused}");
}

#[test]
fn the_configuration_reference_is_up_to_date() {
    let mut root = ashlar::command();
    root.build();
    let mut text = HEAD.to_owned();
    for command in root
        .get_subcommands()
        .filter(|c| ["server", "gateway", "metadata", "chunk", "worker"].contains(&c.get_name()))
    {
        describe_command(command, &mut text);
    }
    #[expect(clippy::disallowed_methods, reason = "a test writes and reads the document directly")]
    if std::env::var_os("ASHLAR_WRITE_DOCS").is_some() {
        std::fs::write(PATH, &text).expect("the document can be written");
    } else {
        let written = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(written == text, "docs/configuration.md is stale; make it anew with ASHLAR_WRITE_DOCS=1");
    }
}
