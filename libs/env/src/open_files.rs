//! How many files the process may have open: every connection is one, and every disk has up to some hundred.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process open as many files as its hard limit allows, in place of its soft one, which is made for programs that count
/// descriptors in a bit mask. Says why not, where that is refused; then all is as it was. To be called before anything is served.
pub fn raise_open_files_limit() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::raise_open_files_limit;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let lower = before.maximum.map_or(512, |hard| hard.min(512));
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), ..before }).unwrap();
        for _ in 0..2 {
            raise_open_files_limit().unwrap();
            assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: before.maximum, ..before });
        }
    }
}
