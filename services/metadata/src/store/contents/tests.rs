use bytes::Bytes;
use proptest::prelude::*;

use super::Position;

fn position() -> impl Strategy<Value = Position> {
    let key = || proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    prop_oneof![
        (any::<i64>(), key(), any::<i64>(), any::<i64>())
            .prop_map(|(bucket, key, seq, from)| Position::Version(bucket, key, seq, from)),
        (any::<i64>(), key(), any::<[u8; 16]>(), any::<i64>())
            .prop_map(|(bucket, key, upload, number)| Position::Part(bucket, key, upload, number)),
        any::<(i64, i64)>().prop_map(|(bucket, number)| Position::Garbage(bucket, number)),
    ]
}

proptest! {
    #[test]
    fn positions_round_trip(position in position()) {
        prop_assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
    }

    /// Whatever a caller sends is a position or none, and never a panic.
    #[test]
    fn other_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Some(position) = Position::from_bytes(&bytes) {
            prop_assert_eq!(position.to_bytes(), bytes);
        }
    }
}
