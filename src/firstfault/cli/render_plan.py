"""A plan on the terminal."""

import typer

from firstfault.plan import Cluster, Plan, Simulated
from firstfault.plan.model import GIB
from firstfault.plan.queueing import Times


def show(plan: Plan, simulated: Simulated | None) -> None:
    """Print both set-ups, what the cost grows with, and what the simulation says."""
    load, node, embedded = plan.load, plan.node, plan.embedded
    typer.echo(
        f"{load.documents:,} documents, {plan.chunks:,.0f} chunks of {load.dimension} dimensions, "
        f"{load.qps:,g} questions a second; nodes of {node.cores} cores, {node.memory_gib:g} GiB of memory, "
        f"{node.disk_gib:,g} GiB of disk"
    )
    typer.echo("\nEmbedded: one process, SQLite, index in the home")
    typer.echo(f"  memory {_size(embedded.memory_bytes)}   disk {_size(embedded.disk_bytes)} with traces")
    typer.echo(f"  before generation: {_times(embedded.latency)}   cores busy {embedded.utilisation:.0%}")
    typer.echo("  fits one node" if embedded.fits else "  does not fit:")
    for reason in embedded.reasons:
        typer.echo(f"    {reason}")
    typer.echo("\nCluster: Qdrant, PostgreSQL, several servers (fewest index nodes first)")
    for cluster in plan.clusters:
        _cluster(cluster)
    typer.echo("\nWhat the cost grows with, the greatest first")
    for driver in plan.drivers:
        typer.echo(f"  {driver}")
    if simulated is not None:
        best = plan.clusters[0]
        typer.echo(
            f"\nSimulated, {simulated.requests:,} questions to {best.shards} x {best.replicas} index nodes: "
            f"{_times(simulated.times)}; the formulas say {_times(best.index_latency)}"
        )
    typer.echo(
        "\nSizes and times are measured on one small machine and extrapolated: docs/scale.md says how."
    )


def _cluster(cluster: Cluster) -> None:
    typer.echo(
        f"  vectors {_WAYS[cluster.quantization]}: {cluster.shards} shards x {cluster.replicas} copies = "
        f"{cluster.index_nodes} index nodes, {_size(cluster.memory_bytes_per_node)} of memory and "
        f"{_size(cluster.disk_bytes_per_node)} of disk each, {cluster.utilisation:.0%} busy"
    )
    typer.echo(
        f"    {cluster.servers} servers, PostgreSQL with {cluster.database_cores} cores; index "
        f"{_times(cluster.index_latency)}; before generation {_times(cluster.latency)}"
    )


_WAYS = {"none": "in full", "scalar": "in 8 bits", "binary": "in 1 bit"}


def _times(times: Times | None) -> str:
    if times is None:
        return "it cannot keep up"
    return f"p50 {times.p50:.0f} ms, p95 {times.p95:.0f} ms, p99 {times.p99:.0f} ms"


def _size(size: float) -> str:
    if size >= 1024 * GIB:
        return f"{size / GIB / 1024:,.1f} TiB"
    return f"{size / GIB:,.1f} GiB" if size >= GIB else f"{size / GIB * 1024:,.0f} MiB"
