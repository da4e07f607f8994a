//! The 64 steps of one block, the same for every width. Source: RFC 1321, section 3.4.

/// Expands to the steps over `a`, `b`, `c`, `d` (variables) and `m` (the block's sixteen words). The caller's module has the round
/// functions `f`, `g`, `h` and `i`, each of one step: `b + ((a + round(b, c, d) + word + constant) <<< LEFT)`, where the second
/// parameter is `32 - LEFT`.
macro_rules! steps {
    ($a:ident, $b:ident, $c:ident, $d:ident, $m:ident) => {{
        $a = f::<7, 25>($a, $b, $c, $d, $m[0], 0xd76aa478);
        $d = f::<12, 20>($d, $a, $b, $c, $m[1], 0xe8c7b756);
        $c = f::<17, 15>($c, $d, $a, $b, $m[2], 0x242070db);
        $b = f::<22, 10>($b, $c, $d, $a, $m[3], 0xc1bdceee);
        $a = f::<7, 25>($a, $b, $c, $d, $m[4], 0xf57c0faf);
        $d = f::<12, 20>($d, $a, $b, $c, $m[5], 0x4787c62a);
        $c = f::<17, 15>($c, $d, $a, $b, $m[6], 0xa8304613);
        $b = f::<22, 10>($b, $c, $d, $a, $m[7], 0xfd469501);
        $a = f::<7, 25>($a, $b, $c, $d, $m[8], 0x698098d8);
        $d = f::<12, 20>($d, $a, $b, $c, $m[9], 0x8b44f7af);
        $c = f::<17, 15>($c, $d, $a, $b, $m[10], 0xffff5bb1);
        $b = f::<22, 10>($b, $c, $d, $a, $m[11], 0x895cd7be);
        $a = f::<7, 25>($a, $b, $c, $d, $m[12], 0x6b901122);
        $d = f::<12, 20>($d, $a, $b, $c, $m[13], 0xfd987193);
        $c = f::<17, 15>($c, $d, $a, $b, $m[14], 0xa679438e);
        $b = f::<22, 10>($b, $c, $d, $a, $m[15], 0x49b40821);
        $a = g::<5, 27>($a, $b, $c, $d, $m[1], 0xf61e2562);
        $d = g::<9, 23>($d, $a, $b, $c, $m[6], 0xc040b340);
        $c = g::<14, 18>($c, $d, $a, $b, $m[11], 0x265e5a51);
        $b = g::<20, 12>($b, $c, $d, $a, $m[0], 0xe9b6c7aa);
        $a = g::<5, 27>($a, $b, $c, $d, $m[5], 0xd62f105d);
        $d = g::<9, 23>($d, $a, $b, $c, $m[10], 0x02441453);
        $c = g::<14, 18>($c, $d, $a, $b, $m[15], 0xd8a1e681);
        $b = g::<20, 12>($b, $c, $d, $a, $m[4], 0xe7d3fbc8);
        $a = g::<5, 27>($a, $b, $c, $d, $m[9], 0x21e1cde6);
        $d = g::<9, 23>($d, $a, $b, $c, $m[14], 0xc33707d6);
        $c = g::<14, 18>($c, $d, $a, $b, $m[3], 0xf4d50d87);
        $b = g::<20, 12>($b, $c, $d, $a, $m[8], 0x455a14ed);
        $a = g::<5, 27>($a, $b, $c, $d, $m[13], 0xa9e3e905);
        $d = g::<9, 23>($d, $a, $b, $c, $m[2], 0xfcefa3f8);
        $c = g::<14, 18>($c, $d, $a, $b, $m[7], 0x676f02d9);
        $b = g::<20, 12>($b, $c, $d, $a, $m[12], 0x8d2a4c8a);
        $a = h::<4, 28>($a, $b, $c, $d, $m[5], 0xfffa3942);
        $d = h::<11, 21>($d, $a, $b, $c, $m[8], 0x8771f681);
        $c = h::<16, 16>($c, $d, $a, $b, $m[11], 0x6d9d6122);
        $b = h::<23, 9>($b, $c, $d, $a, $m[14], 0xfde5380c);
        $a = h::<4, 28>($a, $b, $c, $d, $m[1], 0xa4beea44);
        $d = h::<11, 21>($d, $a, $b, $c, $m[4], 0x4bdecfa9);
        $c = h::<16, 16>($c, $d, $a, $b, $m[7], 0xf6bb4b60);
        $b = h::<23, 9>($b, $c, $d, $a, $m[10], 0xbebfbc70);
        $a = h::<4, 28>($a, $b, $c, $d, $m[13], 0x289b7ec6);
        $d = h::<11, 21>($d, $a, $b, $c, $m[0], 0xeaa127fa);
        $c = h::<16, 16>($c, $d, $a, $b, $m[3], 0xd4ef3085);
        $b = h::<23, 9>($b, $c, $d, $a, $m[6], 0x04881d05);
        $a = h::<4, 28>($a, $b, $c, $d, $m[9], 0xd9d4d039);
        $d = h::<11, 21>($d, $a, $b, $c, $m[12], 0xe6db99e5);
        $c = h::<16, 16>($c, $d, $a, $b, $m[15], 0x1fa27cf8);
        $b = h::<23, 9>($b, $c, $d, $a, $m[2], 0xc4ac5665);
        $a = i::<6, 26>($a, $b, $c, $d, $m[0], 0xf4292244);
        $d = i::<10, 22>($d, $a, $b, $c, $m[7], 0x432aff97);
        $c = i::<15, 17>($c, $d, $a, $b, $m[14], 0xab9423a7);
        $b = i::<21, 11>($b, $c, $d, $a, $m[5], 0xfc93a039);
        $a = i::<6, 26>($a, $b, $c, $d, $m[12], 0x655b59c3);
        $d = i::<10, 22>($d, $a, $b, $c, $m[3], 0x8f0ccc92);
        $c = i::<15, 17>($c, $d, $a, $b, $m[10], 0xffeff47d);
        $b = i::<21, 11>($b, $c, $d, $a, $m[1], 0x85845dd1);
        $a = i::<6, 26>($a, $b, $c, $d, $m[8], 0x6fa87e4f);
        $d = i::<10, 22>($d, $a, $b, $c, $m[15], 0xfe2ce6e0);
        $c = i::<15, 17>($c, $d, $a, $b, $m[6], 0xa3014314);
        $b = i::<21, 11>($b, $c, $d, $a, $m[13], 0x4e0811a1);
        $a = i::<6, 26>($a, $b, $c, $d, $m[4], 0xf7537e82);
        $d = i::<10, 22>($d, $a, $b, $c, $m[11], 0xbd3af235);
        $c = i::<15, 17>($c, $d, $a, $b, $m[2], 0x2ad7d2bb);
        $b = i::<21, 11>($b, $c, $d, $a, $m[9], 0xeb86d391);
    }};
}

pub(super) use steps;
