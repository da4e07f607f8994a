use proptest::prelude::*;
use reed_solomon_erasure::galois_8::ReedSolomon;
use types::{Coding, ShardIndex};

use super::{Codec, INVERSES_MAX};
use crate::{Error, Kernel};

const CODINGS: [&str; 15] = [
    "1+0", "1+1", "1+2", "1+3", "2+1", "2+2", "3+0", "3+2", "4+2", "4+3", "5+3", "6+2", "6+3", "8+4", "32+32",
];

fn coding(text: &str) -> Coding {
    text.parse().unwrap()
}

fn index(of: usize) -> ShardIndex {
    ShardIndex(u8::try_from(of).unwrap())
}

/// The data and parity cells of a stripe that holds `bytes`, in cells of at most `cell` bytes as a chunk's last
/// stripe has them: full ones, then a short one, then empty ones.
fn stripe(codec: &Codec, bytes: &[u8], cell: usize) -> Vec<Vec<u8>> {
    let coding = codec.coding();
    let at = |lane: usize| (lane * cell).min(bytes.len());
    let mut cells: Vec<Vec<u8>> =
        (0..coding.data()).map(|lane| bytes[at(lane)..at(lane + 1)].to_vec()).collect();
    let mut parity = vec![vec![0xee; cells[0].len()]; coding.parity()];
    codec.encode(&cells, &mut parity).unwrap();
    cells.append(&mut parity);
    cells
}

fn rebuild_all(codec: &Codec, cells: &[Vec<u8>], lost: &[usize]) -> Result<(), Error> {
    let left: Vec<Option<&[u8]>> =
        cells.iter().enumerate().map(|(i, cell)| (!lost.contains(&i)).then_some(cell.as_slice())).collect();
    let mut wanted: Vec<(ShardIndex, Vec<u8>)> =
        cells.iter().enumerate().map(|(i, cell)| (index(i), vec![0xaa; cell.len()])).collect();
    codec.reconstruct(&left, &mut wanted)?;
    for (rebuilt, original) in wanted.iter().zip(cells) {
        assert_eq!(&rebuilt.1, original, "cell {} after losing {lost:?}", rebuilt.0.0);
    }
    Ok(())
}

fn stripes() -> impl Strategy<Value = (Coding, usize, Vec<u8>, Vec<usize>)> {
    (0..CODINGS.len(), 1_usize..300).prop_flat_map(|(which, cell)| {
        let coding = coding(CODINGS[which]);
        let bytes = prop::collection::vec(any::<u8>(), 0..=cell * coding.data());
        let order = Just((0..coding.total()).collect::<Vec<_>>()).prop_shuffle();
        (Just(coding), Just(cell), bytes, order)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_k_cells_rebuild_the_stripe_with_either_kernel((coding, cell, bytes, order) in stripes()) {
        let simd = Codec::new(coding);
        let portable = Codec::with_kernel(coding, Kernel::Portable);
        let cells = stripe(&simd, &bytes, cell);
        prop_assert_eq!(&cells, &stripe(&portable, &bytes, cell));
        for codec in [&simd, &portable] {
            let mut parity = vec![vec![0; cells[0].len()]; coding.parity()];
            for index in order.iter().filter(|index| **index < coding.data()) {
                codec.add_cell(*index, &cells[*index], &mut parity).unwrap();
            }
            prop_assert_eq!(&parity, &cells[coding.data()..]);
            rebuild_all(codec, &cells, &order[..coding.parity()]).unwrap();
        }
    }
}

#[test]
fn every_choice_of_lost_cells_is_rebuilt() {
    for text in CODINGS.iter().filter(|text| **text != "32+32") {
        let codec = Codec::new(coding(text));
        let bytes: Vec<u8> = (0..=255).cycle().take(codec.coding().data() * 16 - 5).collect();
        let cells = stripe(&codec, &bytes, 16);
        for pattern in 0_u32..1 << codec.coding().total() {
            let lost: Vec<usize> = (0..codec.coding().total()).filter(|i| pattern >> i & 1 == 1).collect();
            let present = codec.coding().total() - lost.len();
            if lost.len() <= codec.coding().parity() {
                rebuild_all(&codec, &cells, &lost).unwrap();
            } else {
                let expected = Error::TooFewCells { present, needed: codec.coding().data() };
                assert_eq!(rebuild_all(&codec, &cells, &lost), Err(expected));
            }
        }
        assert!(codec.inverses.lock().unwrap().len() <= INVERSES_MAX);
    }
}

/// The bytes on disk must never change: they are those of an independent implementation, and of a fixed vector.
#[test]
fn parity_is_that_of_the_published_code() {
    for text in ["1+1", "2+1", "4+2", "8+4", "17+3"] {
        let coding = coding(text);
        let codec = Codec::with_kernel(coding, Kernel::Portable);
        let bytes: Vec<u8> = (0_u32..)
            .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .take(coding.data() * 50)
            .collect();
        let cells = stripe(&codec, &bytes, 50);
        let (data, parity) = cells.split_at(coding.data());
        let mut expected = vec![vec![0; 50]; coding.parity()];
        ReedSolomon::new(coding.data(), coding.parity()).unwrap().encode_sep(data, &mut expected).unwrap();
        assert_eq!(parity, expected, "{text}");
    }
    let cells = stripe(&Codec::new(coding("4+2")), b"ashlar stripe!", 4);
    assert_eq!(cells[4..], [vec![0x56, 0x61, 0xba, 0xc3], vec![0x30, 0x91, 0x34, 0xa3]]);
}

#[test]
fn copies_are_the_bytes_themselves() {
    let codec = Codec::new(coding("1+2"));
    let cells = stripe(&codec, b"the same", 8);
    assert_eq!(cells, vec![b"the same".to_vec(); 3]);
}

#[test]
fn misshapen_stripes_are_refused() {
    let codec = Codec::new(coding("2+1"));
    let mut parity = [[0_u8; 2]];
    assert_eq!(codec.encode(&[[1_u8; 2]], &mut parity), Err(Error::CellCount { given: 1, expected: 2 }));
    assert_eq!(
        codec.encode(&[[1_u8; 3], [1; 3]], &mut parity),
        Err(Error::CellLength { cell: 3, parity: 2 })
    );
    assert_eq!(codec.add_cell(0, &[1; 3], &mut parity), Err(Error::CellLength { cell: 3, parity: 2 }));
    assert_eq!(codec.add_cell(2, &[1; 2], &mut parity), Err(Error::CellCount { given: 3, expected: 2 }));
    let cells = [Some([1_u8; 2]), Some([1; 2]), None];
    let mut beyond = [(ShardIndex(3), [0_u8; 2])];
    assert_eq!(codec.reconstruct(&cells, &mut beyond), Err(Error::CellCount { given: 4, expected: 3 }));
    assert_eq!(codec.reconstruct(&cells[..2], &mut beyond), Err(Error::CellCount { given: 2, expected: 3 }));
}
