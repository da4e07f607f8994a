use chunk_api::conformance::Sample;
use types::{GroupId, ShardIndex};

use super::{
    Chain, Eviction, Footer, Group, HEADER_LENGTH, MarkKind, Marks, MarksRecord, RecordHeader, Salt,
    ShardRecord, cell_offset, cell_span,
};

fn header() -> RecordHeader {
    RecordHeader::Shard(ShardRecord::from(&Sample::new(3, 9, 1, "4+2", 300_000).header))
}

#[test]
fn headers_round_trip_at_their_own_place_only() {
    let marks = MarksRecord { kind: MarkKind::Evicted, count: 17 };
    for header in [header(), RecordHeader::Marks(marks)] {
        let bytes = header.encode(Salt(5), 4096);
        assert_eq!(RecordHeader::decode(&bytes, Salt(5), 4096), Some(header));
        assert_eq!(RecordHeader::decode(&bytes, Salt(6), 4096), None);
        assert_eq!(RecordHeader::decode(&bytes, Salt(5), 8192), None);
    }
}

#[test]
fn marks_round_trip() {
    let shards: Vec<_> = (0..5).map(|index| Sample::new(3, 9 << index, index, "4+2", 1).shard()).collect();
    for marks in [
        Marks::Deleted(shards),
        Marks::Evicted(vec![
            Eviction { group: GroupId(-3), index: ShardIndex(5), epoch: i64::MIN },
            Eviction { group: GroupId(i32::MAX), index: ShardIndex(255), epoch: 7 },
        ]),
        Marks::Fenced(vec![types::LeaseId(-7), types::LeaseId(i64::MAX)]),
        Marks::Deleted(Vec::new()),
    ] {
        let (record, body) = (marks.record(), marks.encode());
        assert_eq!(body.len(), record.count * record.kind.length());
        assert_eq!(Marks::decode(record.kind, &body), marks);
    }
}

#[test]
fn every_flipped_bit_of_a_header_or_footer_is_seen() {
    let bytes = header().encode(Salt(5), 4096);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(RecordHeader::decode(&flipped, Salt(5), 4096), None, "bit {bit}");
    }
    let mut chain = Chain::new(&bytes);
    chain.push(77);
    let footer = chain.footer(Salt(5), Group(8));
    let read = Footer::decode(&footer, Salt(5), &bytes).unwrap();
    assert_eq!(read.group, Group(8));
    assert!(chain.matches(&read));
    for bit in 0..footer.len() * 8 {
        let mut flipped = footer;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Footer::decode(&flipped, Salt(5), &bytes), None, "bit {bit}");
    }
}

#[test]
fn a_footer_belongs_to_its_header_and_its_cells() {
    let one = header().encode(Salt(5), 4096);
    let other = header().encode(Salt(5), 8192);
    let mut chain = Chain::new(&one);
    let footer = Footer::decode(&chain.footer(Salt(5), Group(1)), Salt(5), &one).unwrap();
    assert_eq!(Footer::decode(&chain.footer(Salt(5), Group(1)), Salt(5), &other), None);
    chain.push(1);
    assert!(!chain.matches(&footer));
}

#[test]
fn random_bytes_are_no_header() {
    for seed in 0..10_000u64 {
        let mut bytes = [0; HEADER_LENGTH];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (at % 56)) & 0xff).unwrap();
        }
        assert_eq!(RecordHeader::decode(&bytes, Salt(seed), 0), None);
    }
}

#[test]
fn the_footer_follows_the_last_cell() {
    for (index, length) in [(0, 300_000u64), (3, 300_000), (4, 300_000), (0, 262_144), (2, 1)] {
        let shard = Sample::new(3, 9, index, "4+2", length).header;
        let last = shard.cells() - 1;
        let end = cell_offset(shard.owner.len(), last) + cell_span(shard.cell_length(last)) as u64;
        assert_eq!(ShardRecord::from(&shard).layout().footer, end);
    }
    let marks = MarksRecord { kind: MarkKind::Deleted, count: 1 };
    assert_eq!(RecordHeader::Marks(marks).layout().length, 512);
}
