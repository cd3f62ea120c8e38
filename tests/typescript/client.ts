import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Job = components["schemas"]["JobOut"];

const [url, path] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl: url });

async function listed(): Promise<string[]> {
  const { data } = await client.GET("/api/v1/jobs");
  return (data?.jobs ?? []).map((job) => job.name);
}

async function submitted(): Promise<string> {
  const form = new FormData();
  form.append("file", new Blob([new Uint8Array(await readFile(path))]), "mine.pdf");
  form.append("pages", "1-3");
  const { data, error } = await client.POST("/api/v1/jobs", {
    body: { file: [], pages: "1-3" },
    bodySerializer: () => form,
  });
  if (!data) throw new Error(error.detail);
  return data.jobs[0]!.id;
}

async function waited(id: string): Promise<Job> {
  const params = { path: { job_id: id }, query: { wait: 5 } };
  for (;;) {
    const { data, error } = await client.GET("/api/v1/jobs/{job_id}", { params });
    if (!data) throw new Error(error?.detail);
    if (data.timings.ended_at) return data;
  }
}

async function result(id: string): Promise<string> {
  const params = { path: { job_id: id }, query: { format: "md" as const } };
  const { data, error } = await client.GET("/api/v1/jobs/{job_id}/result", { params, parseAs: "text" });
  if (error) throw new Error(error.detail);
  return String(data);
}

const before = await listed();
const job = await waited(await submitted());
const text = await result(job.id);
const unknown = await client.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: "0".repeat(16) } } });
console.log(JSON.stringify({ before, state: job.state, name: job.name, ok: job.pages.ok, text, problem: unknown.error?.type }));
