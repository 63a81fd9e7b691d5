// Puts simulations through the offline IAM evaluator: each line of stdin is a JSON array of them, and
// is answered with one. NODE_PATH does not reach ES modules: the evaluator's folder is the first
// argument.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { runSimulation } = createRequire(process.argv[2] + '/')('@cloud-copilot/iam-simulate')

async function answer(simulation) {
  const found = await runSimulation(simulation, { simulationMode: 'Strict' })
  return {
    result: found.overallResult ?? 'error',
    ignored: found.result?.ignoredContextKeys ?? [],
    errors: found.errors ?? null,
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answers = []
  for (const simulation of JSON.parse(line)) answers.push(await answer(simulation))
  console.log(JSON.stringify(answers))
}
