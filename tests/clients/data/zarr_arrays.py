"""Zarr: arrays in many chunks, and in shards that are read by ranges."""

import numpy as np
import s3fs
import zarr
from obstore.store import S3Store
from zarr.storage import FsspecStore, ObjectStore

from cases import BUCKET, CA, case, done, refused
from report import expect


def main():
    """The same with each store, then one store reads what the other wrote."""
    files = s3fs.S3FileSystem(asynchronous=True, client_kwargs={"verify": CA} if CA else {})
    stores = {
        "obstore": lambda folder: ObjectStore(S3Store(BUCKET, prefix=folder, retry_config={"max_retries": 0})),
        "s3fs": lambda folder: FsspecStore(files, path=f"{BUCKET}/{folder}"),
    }
    for name, store in stores.items():
        arrays(name, lambda store=store, name=name: store(f"arrays-{name}"))
    with case("each store reads what the other wrote"):
        one = zarr.open_group(stores["obstore"]("arrays-s3fs"), mode="r")
        other = zarr.open_group(stores["s3fs"]("arrays-obstore"), mode="r")
        assert np.array_equal(one["sharded"][:], other["sharded"][:]), "other numbers"
        assert np.array_equal(one["deep/er/chunked"][:], other["deep/er/chunked"][:]), "other numbers"
    done()


def arrays(name, store):
    """Groups and arrays; each is read through a store that is opened anew."""
    numbers = np.random.default_rng(3).integers(0, 2**31, (600, 500), dtype="int32")
    with case(f"{name}: an array in 60 chunks"):
        root = zarr.create_group(store())
        chunked = root.create_array("deep/er/chunked", shape=numbers.shape, chunks=(100, 50), dtype=numbers.dtype)
        chunked[:] = numbers
        chunked.attrs["unit"] = "µm"
        found = zarr.open_group(store(), mode="r")["deep/er/chunked"]
        assert np.array_equal(found[:], numbers), "other numbers"
        expect((found.attrs["unit"], found.nchunks_initialized), ("µm", 60))
    with case(f"{name}: a window over several chunks, and one that is written"):
        numbers[90:210, 45:155] += 1
        zarr.open_group(store(), mode="r+")["deep/er/chunked"][90:210, 45:155] = numbers[90:210, 45:155]
        found = zarr.open_group(store(), mode="r")["deep/er/chunked"]
        assert np.array_equal(found[80:220, 40:160], numbers[80:220, 40:160]), "other numbers"
        assert np.array_equal(found[:], numbers), "other numbers"
    with case(f"{name}: shards of 25 chunks, of which single chunks are read by ranges"):
        sharded = root.create_array("sharded", shape=numbers.shape, shards=(300, 250), chunks=(60, 50), dtype=numbers.dtype)
        sharded[:] = numbers
        found = zarr.open_group(store(), mode="r")["sharded"]
        assert np.array_equal(found[61:62, 51:52], numbers[61:62, 51:52]), "other numbers"
        assert np.array_equal(found[290:310, 240:260], numbers[290:310, 240:260]), "other numbers"
        assert np.array_equal(found[:], numbers), "other numbers"
    with case(f"{name}: append, and resize, which removes chunks"):
        grown = root.create_array("grown", shape=(100, 10), chunks=(20, 10), dtype="float64")
        grown[:] = 1.5
        grown.append(np.full((50, 10), 2.5))
        expect(float(zarr.open_group(store(), mode="r")["grown"][:].sum()), 100 * 10 * 1.5 + 50 * 10 * 2.5, "sum")
        grown.resize((30, 10))
        found = zarr.open_group(store(), mode="r")["grown"]
        expect((found.shape, found.nchunks_initialized), ((30, 10), 2))
    with case(f"{name}: members, consolidated metadata, delete"):
        zarr.consolidate_metadata(store())
        found = zarr.open_consolidated(store(), mode="r")
        expect(sorted(member for member, _ in found.members(max_depth=None)), ["deep", "deep/er", "deep/er/chunked", "grown", "sharded"])
        del zarr.open_group(store(), mode="r+", use_consolidated=False)["grown"]
        left = zarr.open_group(store(), mode="r", use_consolidated=False)
        expect(sorted(left.keys()), ["deep", "sharded"], "members")
        with refused(KeyError):
            left["grown"]


if __name__ == "__main__":
    main()
