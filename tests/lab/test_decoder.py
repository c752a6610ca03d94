"""What the packet tables of tunnels make, judged by another implementation: tshark finds every header in its place and every checksum right."""

import os
import shutil
import struct

import pytest

from lab import BUILD, run

PROGRAM = os.path.join(BUILD, "tests", "packet", "l4", "packet_l4")
LAYERS = ("ip", "tcp", "udp", "icmp", "icmpv6")
GUE_PORT = 6080


def frames(path):
    """The frames of a capture in the byte order of this machine."""
    with open(path, "rb") as file:
        file.read(24)
        while header := file.read(16):
            yield file.read(struct.unpack("=IIII", header)[2])


def inside_gue(frame):
    """What GUE carries, which tshark does not know: the packet behind its header, or None for other frames."""
    v4 = frame[14] >> 4 == 4
    at = 34 if v4 else 54
    udp = frame[23] == 17 if v4 else frame[20] == 17
    if not udp or struct.unpack_from("!H", frame, at + 2)[0] != GUE_PORT:
        return None
    assert frame[at + 8:at + 12] in (b"\0\4\0\0", b"\0\x29\0\0"), "variant 0, IP inside, nothing else"
    return frame[at + 12:]


def judge(path):
    """(protocols, statuses of all checksums, expert messages) of each frame, as tshark reads it."""
    options = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]
    fields = [word for name in ("frame.protocols", *(f"{layer}.checksum.status" for layer in LAYERS), "_ws.malformed")
              for word in ("-e", name)]
    lines = run("tshark", "-r", path, "--disable-protocol", "dns", *options, "-T", "fields", "-E", "separator=|", *fields).stdout.splitlines()
    for line in lines:
        protocols, *statuses, malformed = line.split("|")
        if "icmp" in protocols:
            statuses[1:3] = []  # TCP and UDP are of a packet that is quoted in part; its checksum cannot be right
        yield protocols, [one for each in statuses for one in each.split(",") if one], malformed


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_packets_in_tunnels_are_what_tshark_takes_them_for(tmp_path):
    capture = str(tmp_path / "tunnels.pcap")
    run(PROGRAM, "--gtest_filter=*Tunnel*", env={**os.environ, "SLUICE_TUNNEL_CAPTURE": capture})
    made = list(frames(capture))
    judged = list(judge(capture))
    assert len(made) == len(judged) > 100
    seen = set()
    for protocols, statuses, malformed in judged:
        assert "0" not in statuses and not malformed, (protocols, statuses, malformed)
        seen.add(":".join(word for word in protocols.split(":") if word not in ("eth", "ethertype", "data")))
    for outer in ("ip", "ipv6"):
        for inner in ("ip", "ipv6"):
            for transport in ("tcp", "udp"):
                assert f"{outer}:{inner}:{transport}" in seen
                assert f"{outer}:gre:{inner}:{transport}" in seen
    # The same inside of GUE, cut out here: each is an IP packet by itself.
    packets = [packet for packet in map(inside_gue, made) if packet]
    assert len(packets) > 30
    second = str(tmp_path / "inside.pcap")
    with open(second, "wb") as file:
        file.write(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for packet in packets:
            file.write(struct.pack("=IIII", 0, 0, len(packet), len(packet)) + packet)
    for protocols, statuses, malformed in judge(second):
        assert protocols.startswith(("raw:ip:tcp", "raw:ip:udp", "raw:ipv6:tcp", "raw:ipv6:udp", "raw:ip:data")), protocols
        assert "0" not in statuses and not malformed, (protocols, statuses, malformed)
