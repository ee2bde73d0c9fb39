import ctypes, csv, decimal, gzip, hashlib, io, lzma, bz2, pickle, random, re, sqlite3, uuid, zlib, datetime, locale, gc
import numpy as np
try:
    import pandas as pd; f = pd.DataFrame({"a": np.arange(100000), "b": np.random.rand(100000)}); f.groupby(f.a % 7).mean(); f.to_csv("/tmp/a.csv"); pd.read_csv("/tmp/a.csv"); f.describe()
except ImportError as e: print(e)
try:
    import matplotlib; matplotlib.use("Agg"); import matplotlib.pyplot as plt; plt.plot([1, 2, 3]); plt.savefig("/tmp/a.png")
except ImportError as e: print(e)
a = np.random.rand(600, 600); a @ a; np.linalg.svd(a[:200, :200]); np.fft.fft(a); np.save("/tmp/a.npy", a); np.load("/tmp/a.npy", mmap_mode="r").sum()
d = sqlite3.connect("/tmp/a.db"); d.execute("pragma journal_mode=wal"); d.execute("create table t(a)"); d.executemany("insert into t values(?)", [(i,) for i in range(1000)]); d.commit(); d.execute("vacuum"); d.close()
print(zlib.crc32(gzip.compress(bz2.compress(lzma.compress(b"a" * 100000)))), hashlib.sha256(b"x").hexdigest(), uuid.uuid4(), uuid.uuid1(), datetime.datetime.now().astimezone())
ctypes.CDLL(None).getpid(); bytearray(200 << 20); gc.collect(); x = [bytes(1000) for _ in range(200000)]; del x; breakpoint
import subprocess; subprocess.run(["python3", "-m", "IPython", "-c", "%timeit -n1 -r1 1"])
