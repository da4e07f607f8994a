//! What the command line takes and what it refuses.

use clap::Parser;
use env::Env;

use super::{Args, Command, TortureError};

/// Whether these words are taken; `None` when clap itself refuses them.
fn check(words: &str) -> Option<Result<(), TortureError>> {
    let args = Args::try_parse_from(["torture"].into_iter().chain(words.split_whitespace())).ok()?;
    let env = Env::real();
    Some(match args.command {
        Command::Run(args) => args.check(&env).map(drop),
        Command::Local(args) => args.check(&env).map(drop),
    })
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    const RUN: &str = "run --access-key k --secret-key s --endpoint http://127.0.0.1:1";
    for words in [
        "local ./x",
        "local ./x --kills 3 --stops 1 --seed 7",
        "local ./x --database postgres://x --delays 2",
    ] {
        assert!(matches!(check(words), Some(Ok(()))), "{words}");
    }
    assert!(matches!(check(RUN), Some(Ok(()))));
    for (words, name) in [
        ("local ./x --partitions 1", "--partitions"),
        ("local ./x --operations 0", "--operations"),
        ("local ./x --clients 0", "--clients"),
        ("local ./x --keys 1", "--keys"),
        ("local ./x --timeout 0s", "--timeout"),
        ("local ./x --disks 33", "--disks"),
    ] {
        let refused = check(words);
        assert!(
            matches!(&refused, Some(Err(TortureError::Settings(text))) if text.contains(name)),
            "{words}: {refused:?}"
        );
    }
    for (more, name) in [
        ("--faults 1", "--fault-command"),
        ("--faults 1 --fault-command a --recover-command b --recover-command c", "--recover-command"),
    ] {
        let refused = check(&format!("{RUN} {more}"));
        assert!(
            matches!(&refused, Some(Err(TortureError::Settings(text))) if text.contains(name)),
            "{more}: {refused:?}"
        );
    }
    for words in
        ["", "local", "local ./x --power-cuts 1", "local ./x --cut-command true", "local ./x --kills -1"]
    {
        assert!(check(words).is_none(), "{words}");
    }
}
