//! Hashes and coding of what is stored.

use std::hint::black_box;

use bytes::Bytes;
use checksum::{AlgorithmSet, ObjectHasher, Wanted, cell_crc32c, crc64};
use criterion::{Criterion, Throughput};
use erasure::{Codec, Kernel};
use multi_md5::{Backend, digests};
use types::{ChecksumAlgorithm, Coding, ShardIndex};

const CELL: usize = 64 << 10;
const MIB: usize = 1 << 20;

fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

fn coding(criterion: &mut Criterion) {
    let coding = Coding::new(4, 2).expect("a coding");
    let codec = Codec::with_kernel(coding, Kernel::detect());
    let data: Vec<Vec<u8>> = (0..4).map(|cell| content(cell, CELL)).collect();
    let mut parity = vec![vec![0; CELL]; 2];
    codec.encode(&data, &mut parity).expect("four cells of a length");
    let all: Vec<Vec<u8>> = data.iter().chain(&parity).cloned().collect();
    let mut group = criterion.benchmark_group("coding 4+2, cells of 64 KiB");
    group.throughput(Throughput::Bytes(4 * CELL as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| codec.encode(black_box(&data), &mut parity).expect("four cells of a length"));
    });
    for missing in [1, 2] {
        let cells: Vec<Option<&[u8]>> =
            all.iter().enumerate().map(|(index, cell)| (index >= missing).then_some(&cell[..])).collect();
        let mut wanted: Vec<(ShardIndex, Vec<u8>)> =
            (0..missing).map(|index| (ShardIndex(u8::try_from(index).unwrap_or(0)), vec![0; CELL])).collect();
        codec.reconstruct(&cells, &mut wanted).expect("four of six cells");
        for (index, cell) in &wanted {
            assert_eq!(*cell, all[usize::from(index.0)], "what was lost comes back");
        }
        group.bench_function(format!("decode, {missing} missing"), |bencher| {
            bencher.iter(|| codec.reconstruct(black_box(&cells), &mut wanted).expect("four of six cells"));
        });
    }
}

fn hashes(criterion: &mut Criterion) {
    let object = content(1, MIB);
    let mut group = criterion.benchmark_group("hashes of 1 MiB");
    group.throughput(Throughput::Bytes(MIB as u64));
    assert_ne!(cell_crc32c(&[1], &object), cell_crc32c(&[2], &object), "a cell is bound to its place");
    group.bench_function("CRC32C of cells", |bencher| {
        bencher.iter(|| object.chunks(CELL).map(|cell| cell_crc32c(&[7; 20], black_box(cell))).max());
    });
    // The check value of CRC-64/NVME. Source: NVM Express NVM Command Set Specification, "64b CRC Polynomial".
    assert_eq!(crc64(b"123456789"), 0xAE8B_1486_0A79_9888);
    group.bench_function("CRC64", |bencher| bencher.iter(|| crc64(black_box(&object))));
    let crc = AlgorithmSet::default().with(ChecksumAlgorithm::Crc64nvme);
    for (name, wanted) in [
        ("of a PUT, without MD5", Wanted { md5: false, payload_sha256: false, checksums: crc }),
        ("of a PUT, MD5 alone", Wanted { md5: true, payload_sha256: false, checksums: crc }),
        ("of a signed PUT, without MD5", Wanted { md5: false, payload_sha256: true, checksums: crc }),
    ] {
        let hash = || {
            let mut hasher = ObjectHasher::new(wanted);
            object.chunks(CELL).for_each(|piece| hasher.update(black_box(piece)));
            hasher.finish()
        };
        assert_eq!((hash().length(), hash().md5().is_some()), (MIB as u64, wanted.md5), "{name}");
        group.bench_function(name, |bencher| bencher.iter(hash));
    }
}

fn lanes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("MD5 of messages of 64 KiB side by side");
    for backend in Backend::available() {
        let messages: Vec<Bytes> =
            (0..backend.lanes() as u64).map(|seed| content(seed, CELL).into()).collect();
        for (message, digest) in messages.iter().zip(digests(backend, &messages)) {
            let mut alone = ObjectHasher::new(Wanted { md5: true, ..Wanted::default() });
            alone.update(message);
            assert_eq!(alone.finish().md5(), Some(digest), "{}", backend.name());
        }
        group.throughput(Throughput::Bytes((messages.len() * CELL) as u64));
        group.bench_function(backend.name(), |bencher| {
            bencher.iter(|| digests(backend, black_box(&messages)))
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    coding(&mut criterion);
    hashes(&mut criterion);
    lanes(&mut criterion);
    criterion.final_summary();
}
