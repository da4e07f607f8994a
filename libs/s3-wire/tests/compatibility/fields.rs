//! What becomes of each field of a request, as the tests of S3 try it out.

use std::fmt::Write;

use s3_wire::Operation;

#[path = "../../../../tests/s3/tests/model/registry.rs"]
#[expect(dead_code, reason = "the values that fields are tried out with are for who tries them out")]
mod registry;
#[path = "../../../../tests/s3/tests/model/said.rs"]
mod said;

use self::registry::{Fate, REFUSED_ELEMENTS, fate, is_refused};

/// Elements of bodies that are understood and make no difference, and why.
const MOOT_ELEMENTS: &[(Operation, &str, &str)] =
    &[(Operation::RestoreObject, "Description", "of a restore is told to nobody, at S3 neither")];

const HEAD: &str = "
## Fields of requests

Every header, parameter (`?name`) and element of a body (`Name`) that AWS's model has of an operation which is answered. What is enforced decides what is done, or
is kept and shown; of some of it values are refused by name, which the tables below tell. `tests/s3/tests/model.rs` tries them out, or says which test does, and a field that nobody has said anything of fails there; of elements of bodies it
tries whether they are understood or refused.

";

const TABLE: &str = "
| operation | enforced | makes no difference | refused by name |
|---|---|---|---|
";

/// The section of the page.
pub(crate) fn section() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("Some ask for what is so anyway, and make no difference: ");
    let mut reasons: Vec<(&str, &str)> = Vec::new();
    let rows: Vec<String> =
        said::answered().map(|(operation, said)| row(operation, &said, &mut reasons)).collect();
    reasons.sort_unstable();
    let reasons: Vec<String> = reasons.iter().map(|(name, why)| format!("`{name}` ({why})")).collect();
    writeln!(text, "{}.", reasons.join(", ")).expect("a string takes it");
    text.push_str(TABLE);
    text.extend(rows);
    text
}

fn row(operation: Operation, said: &said::Said, reasons: &mut Vec<(&'static str, &'static str)>) -> String {
    let (mut enforced, mut moot, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, name) in &said.fields {
        let shown = if *kind == "query" { format!("`?{name}`") } else { format!("`{name}`") };
        let (_, fate) = fate(operation, name).expect("the registry has every field of the model");
        match fate {
            Fate::Told(_) | Fate::Kept(_) | Fate::Shown { .. } | Fate::Digest | Fate::Part | Fate::In(_) => {
                enforced.push(shown);
            }
            Fate::Refused(_) => refused.push(shown),
            Fate::Moot { why, .. } => {
                let reason: (&str, &str) = (name, why);
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
                moot.push(shown);
            }
        }
    }
    for path in &said.elements {
        let leaf = path.rsplit('/').next().unwrap_or_default();
        let shown = format!("`{leaf}`");
        let is_inner = said
            .elements
            .iter()
            .any(|other| other.strip_prefix(*path).is_some_and(|rest| rest.starts_with('/')));
        let without_effect = MOOT_ELEMENTS.iter().find(|(of, name, _)| *of == operation && *name == leaf);
        if let Some((_, name, why)) = without_effect {
            reasons.push((name, why));
            moot.push(shown);
            continue;
        }
        let list = if is_refused(operation, path) { &mut refused } else { &mut enforced };
        // What only holds others is enforced with them, and what is in something that is refused is refused with that.
        let is_told = if is_refused(operation, path) { is_outermost(operation, path) } else { !is_inner };
        if is_told && !list.contains(&shown) {
            list.push(shown);
        }
    }
    let [enforced, moot, refused] = [enforced, moot, refused].map(|list| list.join(", "));
    format!("| {} | {enforced} | {moot} | {refused} |\n", operation.name())
}

/// Whether an element is the one that is refused, rather than in it.
fn is_outermost(operation: Operation, path: &str) -> bool {
    path.rsplit_once('/').is_none_or(|(above, _)| !is_refused(operation, above))
}

/// The elements that are refused, whatever is in them.
pub(crate) fn refused_elements() -> impl Iterator<Item = (Operation, &'static str)> {
    REFUSED_ELEMENTS.iter().copied()
}
