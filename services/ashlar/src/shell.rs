//! What shells and `man` are told of the command line: completions and manual pages, made from its own descriptions.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap_complete::Shell;
use clap_mangen::Man;
use env::Env;

use crate::{Exit, admin};

/// Settings of `ashlar completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ashlar completion bash > /usr/share/bash-completion/completions/ashlar
  ashlar completion zsh > /usr/share/zsh/vendor-completions/_ashlar
  ashlar completion fish > ~/.config/fish/completions/ashlar.fish")]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Settings of `ashlar man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  ashlar man /usr/local/share/man/man1")]
pub(crate) struct Pages {
    /// A folder that is there. Pages of the same names are replaced.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Prints what a shell is told, as a script of it.
pub(crate) fn print_completion(args: &Completion, mut command: clap::Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "ashlar", &mut script);
    admin::print(&String::from_utf8_lossy(&script));
}

/// Writes a page for each command.
pub(crate) async fn write_pages(env: &Env, args: Pages, command: clap::Command) -> Result<(), Exit> {
    let written = env.spawn_blocking(move || write_all(&args.folder, command)).await;
    written
        .unwrap_or_else(|| Err(io::Error::other("it was given up")))
        .map_err(|error| Exit::new(Exit::DATA, format!("cannot write manual pages: {error}")))
}

/// Writes the pages of a command and of all below it.
#[expect(
    clippy::disallowed_methods,
    reason = "pages are for everybody to read, and lose nothing with the power"
)]
fn write_all(folder: &Path, command: clap::Command) -> io::Result<()> {
    // Without `help` below each command, whose pages would say nothing.
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let mut left = vec![root];
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let page = Man::new(command).manual("Ashlar");
        let mut text = Vec::new();
        page.render(&mut text)?;
        let path = folder.join(page.get_filename());
        std::fs::write(&path, text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
