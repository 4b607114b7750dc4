// Netlify's own API client, doing once what publishing does. Prints what every operation answered.
import { NetlifyAPI } from '@netlify/api'

import { request } from 'node:http'

const [host, token, ready, older, other, candidate] = process.argv.slice(2)
const api = new NetlifyAPI(token, { scheme: 'http', host, pathPrefix: '/api/v1' })
const site = { site_id: 'bench' }
const answers = {}
const call = async (operation, parameters) => {
  try {
    answers[operation] = await api[operation](parameters)
  } catch (error) {
    answers[operation] = { status: error.status, message: error.message }
  }
  return answers[operation]
}

// A reader sends the form; fetch would not let us say which site is meant.
const send = () =>
  new Promise((resolve, reject) => {
    const [name, port] = host.split(':')
    const headers = { host: `bench.localhost:${port}`, 'content-type': 'application/x-www-form-urlencoded' }
    const sending = request({ host: name, port, method: 'POST', path: '/', headers }, (answer) => {
      answer.resume()
      answer.on('end', resolve)
    })
    sending.on('error', reject)
    sending.end('form-name=feedback&rating=4')
  })

await call('getCurrentUser')
await call('listAccountsForUser')
await call('listSites', { name: 'bench' })
await call('getSite', site)
await call('listSiteDeploys', { ...site, per_page: 2, page: 1, state: 'ready' })
await call('getDeploy', { deploy_id: ready })
await call('getSiteDeploy', { ...site, deploy_id: ready })
await call('restoreSiteDeploy', { ...site, deploy_id: older })
await call('lockDeploy', { deploy_id: older })
await call('unlockDeploy', { deploy_id: older })
await call('rollbackSiteDeploy', site)
const build = await call('createSiteBuild', { ...site, branch: 'slow', title: 'by the client' })
await call('getSiteBuild', { build_id: build.id })
await call('cancelSiteDeploy', { deploy_id: build.deploy_id })
await call('listSiteBuilds', site)
await call('deleteDeploy', { deploy_id: build.deploy_id })
await call('deleteSiteDeploy', { ...site, deploy_id: other })
await call('listSiteBuildHooks', site)
const hook = await call('createSiteBuildHook', { ...site, body: { title: 'mine', branch: 'live' } })
await call('getSiteBuildHook', { ...site, id: hook.id })
const body = { files: { 'a.txt': '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8' }, branch: 'canary' }
const upload = await call('createSiteDeploy', { ...site, body: { branch: 'canary' } })
await call('updateSiteDeploy', { ...site, deploy_id: upload.id, body })
await call('uploadDeployFile', { deploy_id: upload.id, path: 'a.txt', body: 'a' })
answers.uploaded = await api.getDeploy({ deploy_id: upload.id })
const account = { account_id: 'local' }
const value = { value: 'v', context: 'all' }
await call('getAccount', account)
await call('listSitesForAccount', { account_slug: 'local' })
await call('createEnvVars', { ...account, body: [{ key: 'MINE', scopes: ['builds'], values: [value] }] })
await call('getEnvVars', account)
await call('getSiteEnvVars', site)
await call('updateEnvVar', { ...account, key: 'MINE', body: { key: 'MINE', scopes: ['builds'], values: [value] } })
const variable = await call('setEnvVarValue', { ...account, key: 'MINE', body: { value: 'w', context: 'production' } })
await call('getEnvVar', { ...account, key: 'MINE' })
await call('deleteEnvVarValue', { ...account, key: 'MINE', id: variable.values[0].id })
await call('deleteEnvVar', { ...account, key: 'MINE' })
await call('updateSite', { ...site, body: { name: 'bench' } })
await call('listSiteFiles', site)
await call('getSiteFileByPathName', { ...site, file_path: 'index.html' })
await call('updateSiteMetadata', { ...site, body: { team: 'a' } })
await call('getSiteMetadata', site)
await call('listSiteDeployedBranches', site)
await call('listHooksBySiteId', site)
const tests = { branch_tests: { live: 90, [candidate]: 10 } }
const split = await call('createSplitTest', { ...site, body: tests })
const test = { ...site, split_test_id: split.id }
await call('enableSplitTest', test)
await call('updateSplitTest', { ...test, body: { branch_tests: { live: 50, [candidate]: 50 } } })
await call('getSplitTest', test)
await call('getSplitTests', site)
await call('disableSplitTest', test)
const [form] = await call('listSiteForms', site)
await send()
const [submission] = await call('listSiteSubmissions', site)
await call('listFormSubmissions', { form_id: form.id })
await call('listFormSubmission', { submission_id: submission.id })
await call('deleteSubmission', { submission_id: submission.id })
await call('deleteSiteForm', { ...site, form_id: form.id })
for (const operation of ['createSite', 'createSiteInTeam', 'deleteSite'])
  await call(operation, { ...site, account_slug: 'local', body: { name: 'other' } })
console.log(JSON.stringify(answers))
