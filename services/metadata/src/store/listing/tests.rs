use types::KeyPrefix;

use super::{Shape, Start, next_batch};

fn prefix(text: &str) -> KeyPrefix {
    KeyPrefix::new(text.to_owned()).expect("a valid prefix")
}

#[test]
fn a_listing_goes_on_past_the_common_prefix_that_hides_its_position() {
    let (dir, slash) = (prefix("dir/"), prefix("/"));
    let shape = Shape { prefix: &dir, delimiter: Some(&slash), limit: 1 };
    for (position, from) in [
        ("dir/a", "dir/a\0"),
        ("dir/a/", "dir/a0"),
        ("dir/a/b/c", "dir/a0"),
        ("dir/", "dir/\0"),
        ("a", "dir/"),
        ("z", "z\0"),
    ] {
        assert_eq!(shape.after(position.as_bytes()), Start::Key(from.as_bytes().to_vec()), "{position}");
    }
}

#[test]
fn batches_shrink_over_hidden_rows_and_grow_over_shown_ones() {
    // Common prefixes that hide millions: soon two rows are read for each.
    let mut batch = 64;
    for _ in 0..4 {
        batch = next_batch(batch, batch, 1, 1000);
    }
    assert!(batch <= 8, "{batch}");
    // Common prefixes of three rows each are read through.
    assert_eq!(next_batch(64, 64, 21, 1000), 64);
    assert_eq!(next_batch(64, 64, 64, 1000), 128);
    assert_eq!(next_batch(1000, 1000, 1000, 1000), 1001);
}
