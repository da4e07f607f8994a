//! What comes out is what went in, or nothing does.

use std::collections::HashSet;

use aws_lc_rs::digest;
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};
use types::{ByteRange, EncryptionScheme, FRAME_SIZE, FRAME_TAG_LENGTH, PartNumber, sealed_length};

use crate::{
    DataKey, Keyring, KeyringError, Layout, Opener, Sealer, Unproved, WrappingKey, WrongKey, line_of_key,
};

const FRAME: usize = FRAME_SIZE;

fn key(number: u8) -> DataKey {
    DataKey::new([number; 32])
}

fn number(number: u16) -> PartNumber {
    PartNumber::new(number).expect("a part number")
}

/// Bytes that differ from place to place.
fn content(length: usize, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at) as u8 ^ seed).collect()
}

fn seal(mut sealer: Sealer, content: &[u8], step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in content.chunks(step.max(1)) {
        sealer.seal(piece, &mut out);
    }
    sealer.finish(&mut out);
    out.concat()
}

/// What is kept of an object of parts of these contents; of one that is whole, when there is one and it is no part.
fn keep(key: &DataKey, parts: &[Vec<u8>], whole: bool, step: usize) -> (Vec<u8>, Layout) {
    if whole {
        let kept = seal(Sealer::whole(key), &parts[0], step);
        return (kept, Layout::Whole(parts[0].len() as u64));
    }
    let numbered = || parts.iter().zip((1..).map(number));
    let sealed = numbered().map(|(part, number)| {
        let salt = [number.get() as u8; 32];
        seal(Sealer::part(key, number, salt), part, step)
    });
    let layout = numbered().map(|(part, number)| (number, part.len() as u64)).collect();
    (sealed.collect::<Vec<_>>().concat(), Layout::Parts(layout))
}

/// Opens a range of what is kept, given in pieces of `step` bytes.
fn open(
    key: &DataKey,
    layout: &Layout,
    kept: &[u8],
    range: ByteRange,
    step: usize,
) -> Result<Vec<u8>, Unproved> {
    let mut opener = Opener::new(key, layout, range).expect("a range within the object");
    let ranges = [opener.salt(), opener.kept()];
    let mut out = Vec::new();
    for range in ranges.into_iter().flatten() {
        let (start, end) = (range.start() as usize, (range.end() as usize).min(kept.len()));
        for piece in kept.get(start..end).unwrap_or_default().chunks(step.max(1)) {
            opener.open(Bytes::copy_from_slice(piece), &mut out)?;
        }
    }
    if opener.is_at_end() { Ok(out.concat()) } else { Err(Unproved) }
}

fn whole(length: usize) -> ByteRange {
    ByteRange::new(0, length as u64).expect("a range")
}

/// Lengths about the borders of frames.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0..40_usize, FRAME - 2..FRAME + 3, 2 * FRAME - 2..2 * FRAME + 3, 0..4 * FRAME,]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every range of an object is what was sealed, however the bytes come in pieces.
    #[test]
    fn ranges_are_slices(
        lengths in vec(length(), 1..5),
        is_whole in any::<bool>(),
        (from, to) in any::<(Index, Index)>(),
        (sealed_by, opened_by) in (1..3 * FRAME, 1..3 * FRAME),
    ) {
        let lengths = if is_whole { lengths[..1].to_vec() } else { lengths };
        let parts: Vec<Vec<u8>> = lengths.iter().zip(0..).map(|(length, seed)| content(*length, seed)).collect();
        let all = parts.concat();
        prop_assume!(!all.is_empty());
        let (kept, layout) = keep(&key(1), &parts, is_whole, sealed_by);
        prop_assert_eq!(open(&key(1), &layout, &kept, whole(all.len()), opened_by), Ok(all.clone()));
        let (from, to) = (from.index(all.len()), to.index(all.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);
        let range = ByteRange::new(from as u64, to as u64).expect("a range");
        prop_assert_eq!(open(&key(1), &layout, &kept, range, opened_by), Ok(all[from..to].to_vec()));
    }

    /// No bit of what is kept can be changed.
    #[test]
    fn a_flipped_bit_is_refused(
        lengths in vec(length(), 1..3), is_whole in any::<bool>(), at in any::<Index>(), bit in 0..8,
    ) {
        let parts: Vec<Vec<u8>> = lengths.iter().map(|length| content(length + 1, 3)).collect();
        let parts = if is_whole { parts[..1].to_vec() } else { parts };
        let (mut kept, layout) = keep(&key(1), &parts, is_whole, FRAME);
        let at = at.index(kept.len());
        kept[at] ^= 1_u8 << bit;
        prop_assert_eq!(open(&key(1), &layout, &kept, whole(parts.concat().len()), FRAME), Err(Unproved));
    }

    /// Frames cannot be exchanged, within an object or between objects, nor parts.
    #[test]
    fn frames_and_parts_have_their_places(
        (one, other) in (0..4_usize, 0..4_usize), is_whole in any::<bool>(), other_key in any::<bool>(),
    ) {
        let parts = vec![content(4 * FRAME, 0), content(4 * FRAME, 0)];
        let parts = if is_whole { parts[..1].to_vec() } else { parts };
        let (kept, layout) = keep(&key(1), &parts, is_whole, FRAME);
        let (from, _) = keep(&key(if other_key { 2 } else { 1 }), &parts, is_whole, FRAME);
        prop_assume!(other_key || one != other);
        let salt = if is_whole { 0 } else { 32 };
        let frame = |index: usize| salt + index * (FRAME + FRAME_TAG_LENGTH)..salt + (index + 1) * (FRAME + FRAME_TAG_LENGTH);
        let mut changed = kept.clone();
        changed[frame(one)].copy_from_slice(&from[frame(other)]);
        let all = parts.concat();
        prop_assert_eq!(open(&key(1), &layout, &changed, whole(all.len()), FRAME), Err(Unproved));
        if !is_whole {
            let part = kept.len() / 2;
            let mut changed = kept.clone();
            changed[salt..part].copy_from_slice(&kept[part + salt..]);
            prop_assert_eq!(open(&key(1), &layout, &changed, whole(all.len()), FRAME), Err(Unproved));
            // Nor whole ones, with their salts.
            changed[..part].copy_from_slice(&kept[part..]);
            prop_assert_eq!(open(&key(1), &layout, &changed, whole(all.len()), FRAME), Err(Unproved));
            changed[part..].copy_from_slice(&kept[..part]);
            for range in [whole(all.len()), whole(1)] {
                prop_assert_eq!(open(&key(1), &layout, &changed, range, FRAME), Err(Unproved));
            }
            let exchanged = Layout::Parts(vec![(number(2), 4 * FRAME as u64), (number(1), 4 * FRAME as u64)]);
            prop_assert_eq!(open(&key(1), &exchanged, &changed, whole(all.len()), FRAME), Ok(all));
        }
    }

    /// What is said to be shorter or longer than it was does not open: its last frame was sealed as such.
    #[test]
    fn an_end_is_an_end(length in 1..3 * FRAME, claimed in 1..3 * FRAME) {
        prop_assume!(length != claimed);
        let mut kept = seal(Sealer::whole(&key(1)), &content(length, 0), FRAME);
        kept.resize(sealed_length(claimed as u64) as usize, 0);
        let layout = Layout::Whole(claimed as u64);
        prop_assert_eq!(open(&key(1), &layout, &kept, whole(claimed), FRAME), Err(Unproved));
    }

    /// A wrapped key comes out by the key and in the context that it was wrapped by, and by nothing else.
    #[test]
    fn a_wrapped_key_comes_out_by_its_key_alone(
        salt in any::<[u8; 32]>(), context in vec(any::<u8>(), 0..40), at in any::<Index>(), bit in 0..8,
        noise in vec(any::<u8>(), 0..200),
    ) {
        let wrapping = WrappingKey::new([7; 32]);
        let wrapped = wrapping.wrap(&key(1), &context, salt);
        let unwrapped = wrapping.unwrap(&wrapped, &context).map(|key| *key.bytes());
        prop_assert_eq!(unwrapped, Ok(*key(1).bytes()));
        let refused = |key: &WrappingKey, wrapped: &[u8], context: &[u8]| key.unwrap(wrapped, context).err() == Some(WrongKey);
        prop_assert!(refused(&WrappingKey::new([8; 32]), &wrapped, &context));
        prop_assert!(refused(&wrapping, &wrapped, &[&context[..], b"x"].concat()));
        let mut changed = wrapped.to_vec();
        changed[at.index(wrapped.len())] ^= 1_u8 << bit;
        prop_assert!(refused(&wrapping, &changed, &context));
        prop_assert!(refused(&wrapping, &wrapped[..at.index(wrapped.len())], &context));
        prop_assert!(refused(&wrapping, &[&wrapped[..], b"x"].concat(), &context));
        prop_assert!(refused(&wrapping, &noise, &context));
    }

    #[test]
    fn any_text_is_a_keyring_or_refused(text in "[a-z0-9= #\n]{0,200}") {
        let _ = Keyring::parse(&text);
    }
}

/// Neither the same part twice nor the same bytes in two objects leave a trace of being the same.
#[test]
fn nothing_is_sealed_twice_alike() {
    let bytes = content(FRAME + 1, 0);
    let sealed = [
        seal(Sealer::whole(&key(1)), &bytes, FRAME),
        seal(Sealer::whole(&key(2)), &bytes, FRAME),
        seal(Sealer::part(&key(1), number(1), [1; 32]), &bytes, FRAME)[32..].to_vec(),
        seal(Sealer::part(&key(1), number(1), [2; 32]), &bytes, FRAME)[32..].to_vec(),
    ];
    let distinct: HashSet<&[u8]> = sealed.iter().map(|sealed| &sealed[..32]).collect();
    assert_eq!(distinct.len(), sealed.len());
    let (one, two) = (content(64, 0), [0_u8; 64]);
    assert!(
        sealed.iter().all(|sealed| !sealed.windows(16).any(|run| run == &one[..16] || run == &two[..16]))
    );
    let wrapping = WrappingKey::new([7; 32]);
    assert_ne!(wrapping.wrap(&key(1), b"", [1; 32])[65..], wrapping.wrap(&key(1), b"", [2; 32])[65..]);
}

/// The forms are persistent: what was kept by an earlier version opens. The values were computed by another implementation of
/// HKDF and AES-GCM.
#[test]
fn the_forms_stay_as_they_are() {
    let kept = seal(Sealer::part(&key(1), number(7), [2; 32]), b"ashlar", 6);
    let wrapped = WrappingKey::new([3; 32]).wrap(&key(1), b"context", [4; 32]);
    assert_eq!(hex(&kept[32..]), "71a598f1a5ab3d70ea60580fa0147b1c151bcf6461d2");
    assert_eq!(
        hex(&wrapped[33..]),
        "0753cec8a4a8f45a50e7c9984250aa1b8afc941a8701ce6e7734842fa7c941eb514520452113ec7119c9cc8e8f568cff\
         ea8d1eaca2adbeecfabbfdf8b21e283e99c33535e3338c032d4eec208310676f"
    );
    assert_eq!(
        hex(&seal(Sealer::whole(&key(1)), b"ashlar", 6)),
        "754f1fe90b2243743ba0a9d29a87cfeb6d8803cb1ecf"
    );
    assert_eq!(hex(&key(1).entity_tag([9; 16])), "a982b9ecbf2bd06c97da4d8e78dd25a8");

    // Three frames, the last of them short.
    let bytes = content(2 * FRAME + 5, 0);
    let digest = |kept: &[u8]| hex(digest::digest(&digest::SHA256, kept).as_ref());
    let whole = digest(&seal(Sealer::whole(&key(1)), &bytes, FRAME));
    assert_eq!(whole, "ed3dac49fafdea749291e0462cf40e8456a8ab62fe29570a22959d8e215a57bd");
    let part = digest(&seal(Sealer::part(&key(1), number(300), [2; 32]), &bytes, FRAME)[32..]);
    assert_eq!(part, "2440eeee6267c5101ef454f1564ee169cdf95ef8c5902180addd7979e121aaf6");

    let by = WrappingKey::new([3; 32]);
    for (scheme, key_id, sealed) in [
        (EncryptionScheme::SseS3, "0a1b", "3356a23bda8421a154428b2539888dbb"),
        (EncryptionScheme::SseC, "", "bbe48a53416a660cfee005f02d99b269"),
    ] {
        let wrapped = crate::wrapped(scheme, (key_id, &by), &key(1), [4; 32]);
        let start = "514520452113ec7119c9cc8e8f568cffea8d1eaca2adbeecfabbfdf8b21e283e";
        assert_eq!(hex(&wrapped.wrapped_key[65..]), format!("{start}{sealed}"), "{scheme:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_empty_object_is_one_frame() {
    assert_eq!(seal(Sealer::whole(&key(1)), b"", 1).len(), 16);
    assert_eq!(seal(Sealer::part(&key(1), number(1), [1; 32]), b"", 1).len(), 48);
    assert!(Opener::new(&key(1), &Layout::Whole(0), whole(0)).is_none());
    assert!(
        Opener::new(&key(1), &Layout::Parts(vec![(number(1), 1), (number(2), 2)]), whole(4)).is_none(),
        "it ends before"
    );
}

#[test]
fn a_keyring_is_lines_of_keys() {
    let line = line_of_key([5; 32], true);
    let text = format!("# keys\n\n{}{}", *line, *line_of_key([6; 32], false));
    let keyring = Keyring::parse(&text).expect("two keys");
    let (id, current) = keyring.current();
    assert!(line.starts_with(id) && id.len() == 16);
    let wrapped = current.wrap(&key(1), b"", [1; 32]);
    assert!(WrappingKey::new([5; 32]).unwrap(&wrapped, b"").is_ok());
    let other = line_of_key([6; 32], false);
    let other = other.split(' ').next().expect("an id");
    assert!(keyring.get(other).is_some_and(|key| key.unwrap(&wrapped, b"").is_err()));
    assert!(keyring.get("another").is_none());
}

#[test]
fn what_is_no_keyring_is_refused_without_showing_it() {
    let (one, two) = (line_of_key([5; 32], true), line_of_key([6; 32], true));
    let key = one.split(' ').nth(1).expect("a key").to_owned();
    for (text, expected) in [
        (String::new(), KeyringError::Current { count: 0 }),
        (format!("{}{}", *one, *two), KeyringError::Current { count: 2 }),
        (format!("a {key}\n"), KeyringError::Current { count: 0 }),
        (format!("a {key} current\na {key}\n"), KeyringError::Twice { id: "a".to_owned() }),
        (format!("\na {key} now\n"), KeyringError::Line { line: 2 }),
        (format!("a {key} current more\n"), KeyringError::Line { line: 1 }),
        (format!("a/b {key} current\n"), KeyringError::Line { line: 1 }),
        (format!("{} {key} current\n", "a".repeat(65)), KeyringError::Line { line: 1 }),
        (format!("a {} current\n", &key[4..]), KeyringError::Line { line: 1 }),
        ("a current\n".to_owned(), KeyringError::Line { line: 1 }),
    ] {
        let refused = Keyring::parse(&text).err().expect("no keyring");
        assert_eq!(refused, expected, "{text}");
        assert!(!refused.to_string().contains(&key));
    }
}
